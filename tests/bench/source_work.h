// What a load consists of: which messages there are, when they are due, and what became of them.
//
// Place     Under source_session.h; load_source.cc prints what it knows at the end.
// Contract  A message is handed out once, and ends once: taken, or failed. With a rate it is due at
//           its own time, whether the server keeps up or not (an open loop); else at once.
// Owner     One process, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/channel.h"
#include "tests/bench/poll.h"

namespace posthorse::bench {

struct SourceOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 25;
    std::uint64_t messages = 1000;
    std::uint32_t sessions = 10;
    std::size_t size_bytes = 4096;  // as it is sent, header and all, without the final dot
    bool kept = true;               // many messages over a connection, or one
    Tls tls = Tls::none;
    bool implicit_tls = false;  // from the first octet, or by STARTTLS
    bool pipelining = false;
    double rate = 0;     // messages a second of all sessions; 0: as fast as may be
    double seconds = 0;  // no message is begun later; 0: all are
    double settle = 0;   // seconds from the start whose waits are not counted
    std::uint32_t recipients = 1;
    std::uint32_t domains = 0;  // 0: `to` as it is
    std::string from = "load@posthorse.test";
    std::string to = "taker@sink.test";
    std::string name = "load";  // in Message-IDs
};

// The text of all messages of a load: a header of each's own, and one body.
class MessageText {
public:
    explicit MessageText(const SourceOptions& options);

    std::string head(std::uint64_t number) const;
    std::string_view rest() const { return rest_; }  // to the final dot
    std::string recipient(std::uint64_t number, std::uint32_t index) const;

private:
    const SourceOptions& options_;
    std::string local_part_;
    std::string rest_;
};

class Work {
public:
    Work(const SourceOptions& options, Instant began) : options_(options), began_(began) {}

    // The next message; none when none is due, or it is over.
    std::optional<std::uint64_t> next(Instant now);
    Instant next_due() const;
    bool over(Instant now) const;
    bool finished(Instant now) const { return over(now) && ended() == begun_; }
    void stop() { stopped_ = true; }

    void taken(Instant sent, Instant at);
    void failed(std::string_view why);
    void connected() { ++connections_; }
    void resumed() { ++resumed_; }

    std::uint64_t ended() const { return taken_ + failed_; }

    // One line of JSON; `cpu` are seconds of this process.
    std::string report(Instant now, double cpu);

private:
    bool settled(Instant at) const;

    const SourceOptions& options_;
    Instant began_;
    bool stopped_ = false;
    std::uint64_t begun_ = 0;
    std::uint64_t taken_ = 0;
    std::uint64_t failed_ = 0;
    std::uint64_t connections_ = 0;
    std::uint64_t resumed_ = 0;
    std::string first_failure_;
    std::vector<float> waited_ms_;  // end of data to 250
    std::vector<float> late_ms_;    // due to begun: a load that falls behind its rate shows it
};

}  // namespace posthorse::bench
