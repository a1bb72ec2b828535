#include "storage/crc32c.h"

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <string>

using namespace posthorse;
using namespace posthorse::storage;

TEST_CASE("CRC-32C is that of RFC 3720, appendix B.4") {
    CHECK(crc32c("") == 0);
    CHECK(crc32c("123456789") == 0xE306'9283);
    CHECK(crc32c(std::string(32, '\0')) == 0x8A91'36AA);
    CHECK(crc32c(std::string(32, '\xFF')) == 0x62A8'AB43);
}

TEST_CASE("a checksum may be had in parts, of any length and place") {
    std::string bytes;
    for (int i = 0; i < 3000; ++i) bytes += static_cast<char>(i * 7 + i / 256);
    const auto whole = crc32c(bytes);
    for (std::size_t at = 0; at <= bytes.size(); at += 37) {
        const std::string_view view = bytes;
        CHECK(extend_crc32c(crc32c(view.substr(0, at)), view.substr(at)) == whole);
    }
}

// A slow disk's figures would tell late that the linker no longer lets RocksDB see it.
TEST_CASE("RocksDB computes its checksums with ours") {
    using Extend = std::uint32_t(std::uint32_t, const char*, std::size_t);
    auto* found = dlsym(RTLD_DEFAULT, "_ZN7rocksdb6crc32c6ExtendEjPKcm");
    REQUIRE(found != nullptr);
    CHECK(reinterpret_cast<Extend*>(found)(0, "123456789", 9) == 0xE306'9283);
    Dl_info theirs{};
    REQUIRE(dladdr(found, &theirs) != 0);
    CHECK(std::string(theirs.dli_fname).find("librocksdb") == std::string::npos);
}
