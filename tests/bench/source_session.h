// One client: hands in messages, one after the other, over a connection that is kept or is not.
//
// Place     Driven by load_source.cc, which calls `ready` when its socket is.
// Contract  Asks `Work` for the next message when it has none, and rests when none is due:
//           `proceed` wakes it. A message whose connection breaks, or that is refused at any step,
//           has failed and is not sent again; the connection is given up.
// Owner     One process, one thread; does not move.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tests/bench/channel.h"
#include "tests/bench/poll.h"
#include "tests/bench/source_work.h"

namespace posthorse::bench {

// What all sessions share.
struct SourceShared {
    const SourceOptions& options;
    const Address& address;
    const MessageText& text;
    Poll& poll;
    TlsClients& tls;
    Work& work;
};

class SourceSession {
public:
    explicit SourceSession(SourceShared& shared) : shared_(shared) {}

    // It has no message.
    bool resting() const { return !message_ && step_ != Step::quit; }

    // Takes the next message if one is due.
    void proceed();

    void ready(std::uint32_t events);

    // Says that it goes, and waits for nothing.
    void leave();

private:
    enum class Step : std::uint8_t {
        idle,
        connecting,
        greeting,
        hello,
        starttls,
        handshake,
        envelope,
        end,
        quit
    };

    bool begin();  // false: it has failed at once
    void connect();
    void on_ready(std::uint32_t events);
    void on_connected();
    void begin_tls();
    void on_handshake();
    void on_input();
    void on_reply(int code, std::string_view line);
    void begin_envelope();
    void on_envelope(std::string_view line, int code);
    void send_text();
    void on_taken();

    std::string command(std::uint32_t index) const;
    std::uint32_t last_command() const { return shared_.options.recipients + 1; }
    void say(std::string_view text, Step step);
    void flush();
    void watch(std::uint32_t events);
    void give_up(std::string_view why);

    SourceShared& shared_;
    std::optional<Channel> channel_;
    std::uint32_t watched_ = 0;
    Step step_ = Step::idle;
    std::optional<std::uint64_t> message_;
    std::uint32_t command_ = 0;  // whose reply is awaited: MAIL, each RCPT, DATA
    Instant sent_at_{};
    std::string input_;
};

}  // namespace posthorse::bench
