#include "storage/log_page.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "proto/types/assert.h"
#include "storage/big_endian.h"
#include "storage/crc32c.h"

namespace posthorse::storage {
namespace {

// RocksDB takes the first seven octets for the head of a record, of no length and of a type that
// there is not: a release that does not know these pages refuses the log, and does not overlook it.
constexpr std::string_view magic("PHL1\0\0\xff\0", 8);

constexpr std::size_t log_at = 8;
constexpr std::size_t synced_at = 16;
constexpr std::size_t used_at = 20;
constexpr std::size_t crc_at = 24;
static_assert(crc_at + sizeof(std::uint32_t) == log_page_head_bytes);

std::uint32_t checksum(std::string_view page, std::size_t used) {
    return extend_crc32c(crc32c(page.substr(0, crc_at)), page.substr(log_page_head_bytes, used));
}

}  // namespace

std::optional<LogPage> read_log_page(std::string_view page, std::uint64_t log) {
    if (page.size() != log_page_bytes || !page.starts_with(magic)) return std::nullopt;
    if (read_big_endian<std::uint64_t>(page, log_at) != log) return std::nullopt;
    const auto used = read_big_endian<std::uint32_t>(page, used_at);
    if (used > log_page_room_bytes) return std::nullopt;
    if (read_big_endian<std::uint32_t>(page, crc_at) != checksum(page, used)) return std::nullopt;
    return LogPage{page.substr(log_page_head_bytes, used),
                   read_big_endian<std::uint32_t>(page, synced_at)};
}

bool begins_log_pages(std::string_view head) {
    constexpr std::string_view never_written("\0\0\0\0\0\0\0\0", magic.size());
    return head.empty() || head.starts_with(magic) || head.starts_with(never_written);
}

void LogPages::Free::operator()(char* buffer) const {
    ::operator delete[](buffer, std::align_val_t{log_page_bytes});
}

LogPages::Run LogPages::append(std::string_view data) {
    PH_ASSERT(!data.empty());
    const std::size_t octets = tail_used_ + data.size();
    const std::size_t pages = (octets + log_page_room_bytes - 1) / log_page_room_bytes;
    make_room(pages);
    std::size_t used = tail_used_;
    for (std::size_t page = 0; page < pages; ++page) {
        const std::size_t taken = std::min(data.size(), log_page_room_bytes - used);
        char* const at = &buffer_[page * log_page_bytes + log_page_head_bytes + used];
        std::memcpy(at, data.data(), taken);
        data.remove_prefix(taken);
        used += taken;
        std::memset(at + taken, 0, log_page_room_bytes - used);
        write_head(page, used);
        tail_used_ = std::exchange(used, 0);
    }
    told_synced_ = synced_;
    const Run run{std::uint64_t{next_} * log_page_bytes, {buffer_.get(), pages * log_page_bytes}};
    tail_ = pages - 1;
    next_ += static_cast<std::uint32_t>(tail_);
    if (tail_used_ == log_page_room_bytes) seal();
    return run;
}

std::uint32_t LogPages::seal() {
    if (std::exchange(tail_used_, 0) > 0) next_ += 1;
    return next_;
}

void LogPages::synced(std::uint32_t pages) {
    PH_ASSERT(pages <= next_);
    synced_ = std::max(synced_, pages);
}

std::optional<LogPages::Run> LogPages::last() {
    if (told_synced_ == synced_) return std::nullopt;
    seal();
    make_room(1);
    std::memset(buffer_.get(), 0, log_page_bytes);
    write_head(0, 0);
    told_synced_ = synced_;
    return Run{std::uint64_t{next_++} * log_page_bytes, {buffer_.get(), log_page_bytes}};
}

// The tail is the first page of the buffer then.
void LogPages::make_room(std::size_t pages) {
    if (pages > buffer_pages_) {
        const std::size_t rounded = std::bit_ceil(pages);
        auto* const memory = static_cast<char*>(
            ::operator new[](rounded * log_page_bytes, std::align_val_t{log_page_bytes}));
        if (tail_used_ > 0) std::memcpy(memory, &buffer_[tail_ * log_page_bytes], log_page_bytes);
        buffer_.reset(memory);
        buffer_pages_ = rounded;
    } else if (tail_used_ > 0 && tail_ > 0) {
        std::memcpy(buffer_.get(), &buffer_[tail_ * log_page_bytes], log_page_bytes);
    }
    tail_ = 0;
}

void LogPages::write_head(std::size_t page, std::size_t used) {
    std::string head(magic);
    append_big_endian(head, log_);
    append_big_endian(head, synced_);
    append_big_endian(head, static_cast<std::uint32_t>(used));
    char* const at = &buffer_[page * log_page_bytes];
    std::memcpy(at, head.data(), head.size());
    std::string crc;
    append_big_endian(crc, checksum({at, log_page_bytes}, used));
    std::memcpy(at + crc_at, crc.data(), crc.size());
}

}  // namespace posthorse::storage
