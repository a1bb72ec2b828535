// The write-ahead log in pages, so that a file that was a log before can be one again. Pure.
//
// Place     Under storage/rocks_log_files.h, which keeps RocksDB's log in such files.
// Contract  To sync what is written over octets that are there needs no change of the file system's
//           own records; to sync what makes a file longer does. So logs are written over old ones,
//           and each page says to which log it belongs (by its number, which no other ever has),
//           how much of it is used, and that it is whole (CRC-32C). What was synced is never
//           written again: a torn write costs nothing that was acknowledged.
//             Where a log ends  at the first page that is not of it or not whole.
//             Damage            each page says how many had been synced when it was written: one of
//                               those that is not whole is damage, and no end.
// Shapes    storage/FORMAT.md has the octets. A page is 4,096; numbers of pages count from 0.
// Owner     Any one thread for one object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace posthorse::storage {

inline constexpr std::size_t log_page_bytes = 4096;
inline constexpr std::size_t log_page_head_bytes = 28;
inline constexpr std::size_t log_page_room_bytes = log_page_bytes - log_page_head_bytes;

struct LogPage {
    std::string_view data;
    std::uint32_t synced = 0;  // as many, from the first, were when this one was written
};

// Of the log with that number; nothing: a page of another, a torn one, or one never written.
std::optional<LogPage> read_log_page(std::string_view page, std::uint64_t log);

// Whether a file that begins so is a log in pages, of whatever number; or one with nothing in it.
// Else RocksDB wrote it as it is, under an older release.
bool begins_log_pages(std::string_view head);

// A log that is being written.
class LogPages {
public:
    struct Run {
        std::uint64_t offset = 0;  // in the file
        std::string_view pages;    // aligned to a page in memory, too; until the next call
    };

    explicit LogPages(std::uint64_t log) : log_(log) {}

    // The pages that are to be written for `data`: the last one of before is among them, unless it
    // was full or sealed.
    Run append(std::string_view data);
    // What follows begins a page of its own. Gives the number of pages so far: what is to be
    // synced.
    std::uint32_t seal();
    // That many pages were.
    void synced(std::uint32_t pages);
    // A page without data, which tells that all that was synced belongs to the log: for its end.
    std::optional<Run> last();

private:
    struct Free {
        void operator()(char* buffer) const;
    };

    void make_room(std::size_t pages);
    void write_head(std::size_t page, std::size_t used);

    const std::uint64_t log_;
    std::unique_ptr<char[], Free> buffer_;
    std::size_t buffer_pages_ = 0;
    std::size_t tail_ = 0;       // the page of the buffer that is not full
    std::size_t tail_used_ = 0;  // octets of data in it; 0: there is none
    std::uint32_t next_ = 0;     // page of the file that the tail is, or will be
    std::uint32_t synced_ = 0;
    std::uint32_t told_synced_ = 0;  // by a page that was written
};

}  // namespace posthorse::storage
