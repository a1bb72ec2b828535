// The server's half of a conversation that takes all, but what it was told to defer.
//
// Place     Driven by floor_sink.cc.
// Contract  `receive` reads and answers. At the end of data it answers at once, or when the body is
//           on disk: then `committed` says so.
// Owner     One thread; does not move. Not destroyed while it waits for the disk.
// Errors    Whatever the client does wrong, and a connection that ends, closes it: `closed`.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "tests/bench/poll.h"

namespace posthorse::bench {

class GroupCommit;

// In a file that others may read meanwhile: unsigned numbers of 64 bits, in this order.
struct SinkCounts {
    std::uint64_t messages = 0;
    std::uint64_t recipients = 0;
    std::uint64_t deferred = 0;  // recipients
    std::uint64_t bytes = 0;
    std::uint64_t connections = 0;
};

struct SinkOptions {
    std::set<std::string, std::less<>> defer;  // domains
    bool defer_all = false;
    std::uint64_t defer_every = 0;  // each so manieth recipient; 0: none
};

struct SinkShared {
    const SinkOptions& options;
    SinkCounts& counts;
    GroupCommit* disk;       // none: nothing is kept
    std::span<char> buffer;  // to read into
};

class SinkSession {
public:
    SinkSession(SinkShared& shared, Descriptor socket);

    const Descriptor& socket() const { return socket_; }
    bool closed() const { return closed_; }
    bool waits_for_disk() const { return step_ == Step::commit; }

    void receive();
    void committed();

private:
    enum class Step : std::uint8_t { command, data, commit };

    void take(std::string_view octets);
    std::size_t take_line(std::string_view octets);
    std::size_t take_data(std::string_view octets);
    void on_command(std::string_view line);
    void on_recipient(std::string_view line);
    bool defers(std::string_view line) const;
    void on_end_of_data();
    void reply(std::string_view text) { replies_.append(text); }
    void flush();

    SinkShared& shared_;
    Descriptor socket_;
    bool closed_ = false;
    Step step_ = Step::command;
    std::uint64_t recipients_ = 0;  // of this message
    std::string input_;             // not understood yet
    std::string tail_;              // the last octets of data, for an end that comes in parts
    std::string body_;              // when there is a disk
    std::string replies_;
};

}  // namespace posthorse::bench
