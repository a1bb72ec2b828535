#include "daemon/auth/password_hash.h"

#include <crypt.h>
#include <string.h>

#include <array>
#include <cerrno>
#include <memory>

namespace posthorse::auth {
namespace {

constexpr const char* method = "$y$";
// A true hash of hash_password()'s method and cost, so that checking against it takes as long.
constexpr const char* nobody_hash =
    "$y$j9T$amaTxqxDVe.tPF0pgQfMB0$ex9l7zVRIaE2j7De00qehrqvQEmFgvLrxeIrWDecNs1";

// crypt_data holds the password and what was derived from it: wiped before it is freed.
struct Wipe {
    void operator()(crypt_data* data) const {
        explicit_bzero(data, sizeof *data);
        delete data;
    }
};

// Empty: libcrypt refused.
std::string run_crypt(const std::string& password, const char* setting) {
    const std::unique_ptr<crypt_data, Wipe> data(new crypt_data{});
    const char* hash = crypt_r(password.c_str(), setting, data.get());
    if (hash == nullptr || hash[0] == '*') return {};
    return hash;
}

bool is_possible(const std::string& password) {
    return !password.empty() && password.size() <= password_bytes_max &&
           password.find('\0') == std::string::npos;
}

bool equal_in_constant_time(const std::string& a, const std::string& b) {
    if (a.size() != b.size()) return false;  // the length is the method's, not a secret
    unsigned char difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
    }
    return difference == 0;
}

}  // namespace

Result<std::string> hash_password(const std::string& password) {
    if (!is_possible(password)) {
        return Error{Errc::invalid, "the password is empty, longer than " +
                                        std::to_string(password_bytes_max) +
                                        " bytes or holds a NUL; choose another"};
    }
    std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> setting{};
    if (crypt_gensalt_rn(method, 0, nullptr, 0, setting.data(), setting.size()) == nullptr) {
        return Error{Errc::unavailable, std::string("no salt for the hash: ") + strerror(errno)};
    }
    auto hash = run_crypt(password, setting.data());
    if (hash.empty()) {
        return Error{Errc::unavailable, std::string("cannot hash: ") + strerror(errno) +
                                            "; yescrypt needs 16 MB of memory"};
    }
    return hash;
}

bool verify_password(const std::string& password, const std::string& hash) {
    if (!is_possible(password)) {
        verify_nothing("x");
        return false;
    }
    const auto again = run_crypt(password, hash.c_str());
    return !again.empty() && equal_in_constant_time(again, hash);
}

void verify_nothing(const std::string& password) {
    static_cast<void>(verify_password(is_possible(password) ? password : "x", nobody_hash));
}

bool is_known_hash(const std::string& hash) {
    const auto verdict = crypt_checksalt(hash.c_str());
    return hash.starts_with('$') && verdict != CRYPT_SALT_INVALID &&
           verdict != CRYPT_SALT_METHOD_DISABLED;
}

}  // namespace posthorse::auth
