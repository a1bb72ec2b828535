// The log's pages: what was written is read, and nothing else is, however it was torn.
#include "storage/log_page.h"

#include <doctest/doctest.h>

#include <map>
#include <string>

using namespace posthorse;
using namespace posthorse::storage;

namespace {

constexpr std::size_t room = log_page_room_bytes;

// A file that pages are written to, over whatever is in it.
class PageFile {
public:
    void write(const LogPages::Run& run) {
        REQUIRE(run.offset % log_page_bytes == 0);
        REQUIRE(run.pages.size() % log_page_bytes == 0);
        octets_.resize(std::max<std::size_t>(octets_.size(), run.offset + run.pages.size()));
        octets_.replace(run.offset, run.pages.size(), run.pages);
        last_offset_ = run.offset;
    }
    std::string_view page(std::size_t number) const {
        return std::string_view(octets_).substr(number * log_page_bytes, log_page_bytes);
    }
    std::string read(std::uint64_t log) const {
        std::string data;
        for (std::size_t number = 0; const auto read = read_log_page(page(number), log); ++number)
            data += read->data;
        return data;
    }
    std::string& octets() { return octets_; }
    std::uint64_t last_offset() const { return last_offset_; }

private:
    std::string octets_ = std::string(16 * log_page_bytes, '\0');
    std::uint64_t last_offset_ = 0;
};

std::string text(std::size_t size, char first = 'a') {
    std::string made(size, '\0');
    for (std::size_t at = 0; at < size; ++at) made[at] = static_cast<char>(first + at % 23);
    return made;
}

}  // namespace

TEST_CASE("what is appended in pieces is read as one") {
    for (const std::size_t size : {1ul, 100ul, room - 1, room, room + 1, 3 * room, 5 * room + 7}) {
        CAPTURE(size);
        LogPages pages(7);
        PageFile file;
        std::string all;
        for (int piece = 0; piece < 4; ++piece) {
            const std::string data = text(size, static_cast<char>('a' + piece));
            file.write(pages.append(data));
            all += data;
        }
        CHECK(file.read(7) == all);
        CHECK(file.read(8).empty());
    }
}

TEST_CASE("a page that is to be synced is not written again") {
    LogPages pages(7);
    PageFile file;
    file.write(pages.append("one"));
    file.write(pages.append("two"));
    CHECK(file.last_offset() == 0);
    CHECK(pages.seal() == 1);
    CHECK(pages.seal() == 1);
    file.write(pages.append("three"));
    CHECK(file.last_offset() == log_page_bytes);
    CHECK(file.read(7) == "onetwothree");
}

TEST_CASE("a page tells how many before it were synced") {
    LogPages pages(7);
    PageFile file;
    file.write(pages.append(text(room + 1)));
    CHECK(read_log_page(file.page(1), 7)->synced == 0);
    CHECK_FALSE(pages.last());
    pages.synced(pages.seal());
    file.write(pages.append("behind a sync"));
    CHECK(read_log_page(file.page(2), 7)->synced == 2);
    CHECK_FALSE(pages.last());
    pages.synced(pages.seal());
    const auto last = pages.last();
    REQUIRE(last);
    file.write(*last);
    CHECK(read_log_page(file.page(3), 7)->synced == 3);
    CHECK(read_log_page(file.page(3), 7)->data.empty());
    CHECK_FALSE(pages.last());
    CHECK(file.read(7) == text(room + 1) + "behind a sync");
}

TEST_CASE("pages of an earlier log in the same file are not read") {
    PageFile file;
    LogPages old(7);
    file.write(old.append(text(9 * room)));
    LogPages pages(9);
    file.write(pages.append("new"));
    CHECK(file.read(9) == "new");
}

TEST_CASE("a page with any bit flipped is none; one with old sectors is whole, old, or none") {
    PageFile file;
    LogPages pages(7);
    file.write(pages.append(text(2000)));
    const std::string before(file.page(0));
    for (std::size_t at = 0; at < log_page_head_bytes + 2000; ++at) {
        file.octets()[at] = static_cast<char>(file.octets()[at] ^ 0x10);
        CHECK_MESSAGE(file.read(7).empty(), at);
        file.octets()[at] = static_cast<char>(file.octets()[at] ^ 0x10);
    }
    CHECK(file.read(7) == text(2000));

    file.write(pages.append(text(2000, 'b')));
    const std::string after(file.page(0));
    for (unsigned kept = 1; kept < 255; ++kept) {  // which of eight sectors are new
        std::string torn = before;
        for (unsigned sector = 0; sector < 8; ++sector)
            if ((kept >> sector & 1) != 0)
                torn.replace(sector * 512, 512, after, sector * 512, 512);
        const auto read = read_log_page(torn, 7);
        CHECK((!read || read->data == text(2000) || read->data == text(2000) + text(2000, 'b')));
    }
}

TEST_CASE("what a log of pages begins with is told from RocksDB's own") {
    LogPages pages(7);
    const auto run = pages.append("data");
    CHECK(begins_log_pages(run.pages.substr(0, 8)));
    CHECK(begins_log_pages(""));
    CHECK(begins_log_pages(std::string(8, '\0')));
    CHECK_FALSE(begins_log_pages("PHL"));
    CHECK_FALSE(begins_log_pages(std::string("\x9c\x0f\x2a\x11\x20\0\x01\x02", 8)));
}
