// A client that hands in mail as fast as a server takes it, or at a rate: for measurements.
//
// Place     Run by tests/bench and tests/system/proofs/speed.py where Postfix's smtp-source, which
//           knows neither rates nor latencies nor TLS, does not do.
// Contract  `load_source --help` lists the options. Prints one line of JSON when every message has
//           ended: messages taken, failed, seconds from the start to the last end, p50_ms, p99_ms
//           and max_ms from the end of data to 250, the seconds of CPU of its own, connections,
//           TLS sessions that were resumed, late_p99_ms (due by the rate to begun; far above 0
//           the sessions were too few), first_failure. SIGTERM: what is under way is ended.
// Errors    Options that make no sense, and a server that ends nothing for two minutes, exit 1.
#include <csignal>
#include <cstdio>
#include <deque>
#include <exception>
#include <map>
#include <stdexcept>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "tests/bench/source_session.h"

namespace posthorse::bench {
namespace {

constexpr std::chrono::seconds silence_max{120};
constexpr std::chrono::milliseconds look_around{100};

Instant now() {
    return std::chrono::steady_clock::now();
}

class Load {
public:
    explicit Load(const SourceOptions& options)
        : address_(options.host, options.port),
          text_(options),
          tls_(options.tls),
          work_(options, now()),
          paced_(options.rate > 0),
          shared_{options, address_, text_, poll_, tls_, work_} {
        for (std::uint32_t count = 0; count < options.sessions; ++count)
            sessions_.emplace_back(shared_);
    }

    std::string run() {
        for (SourceSession& session : sessions_) session.proceed();
        bool some_rest = true;
        while (!work_.finished(now())) {
            for (const epoll_event& event : poll_.wait(patience(some_rest)))
                static_cast<SourceSession*>(event.data.ptr)->ready(event.events);
            if (paced_) some_rest = wake();
            if (stopping) work_.stop();
            check_silence();
        }
        std::string report = work_.report(now(), cpu_seconds());
        for (SourceSession& session : sessions_) session.leave();
        return report;
    }

private:
    // Hands what is due to sessions that rest, in turn; false when none of them does.
    bool wake() {
        for (std::size_t count = 0; count < sessions_.size(); ++count) {
            if (work_.over(now()) || work_.next_due() > now()) return true;
            sessions_[next_].proceed();
            next_ = (next_ + 1) % sessions_.size();
        }
        return false;
    }

    Nanoseconds patience(bool some_rest) const {
        const Nanoseconds due = work_.next_due() - now();
        const bool waits_for_due = paced_ && some_rest && !work_.over(now());
        return waits_for_due ? std::min<Nanoseconds>(due, look_around) : look_around;
    }

    void check_silence() {
        const Instant at = now();
        if (work_.ended() != ended_ || ended_at_ == Instant{}) ended_at_ = at;
        ended_ = work_.ended();
        if (at - ended_at_ > silence_max)
            throw std::runtime_error("the server has ended no message for two minutes");
    }

    Address address_;
    MessageText text_;
    Poll poll_;
    TlsClients tls_;
    Work work_;
    const bool paced_;
    SourceShared shared_;
    std::deque<SourceSession> sessions_;
    std::size_t next_ = 0;
    std::uint64_t ended_ = 0;
    Instant ended_at_{};
};

void add_options(CLI::App& app, SourceOptions& options) {
    app.add_option("--host", options.host, "Name or address of the server");
    app.add_option("--port", options.port, "Its port");
    app.add_option("--messages", options.messages, "How many are sent");
    app.add_option("--seconds", options.seconds, "No message is begun later; 0: all are sent");
    app.add_option("--settle", options.settle,
                   "Seconds from the start whose waits and delays are not counted");
    app.add_option("--sessions", options.sessions, "How many clients send at once")
        ->check(CLI::PositiveNumber);
    app.add_option("--size", options.size_bytes, "Octets of a message, with its header");
    app.add_flag("--kept,!--new", options.kept, "One connection a session, or one a message");
    app.add_option("--tls", options.tls, "none, full or resumed (new connections resume)")
        ->transform(CLI::CheckedTransformer(std::map<std::string, Tls>{
            {"none", Tls::none}, {"full", Tls::full}, {"resumed", Tls::resumed}}));
    app.add_flag("--implicit-tls", options.implicit_tls, "TLS from the first octet");
    app.add_flag("--pipelining", options.pipelining, "All commands of a message at once");
    app.add_option("--rate", options.rate, "Messages a second of all sessions; 0: no limit");
    app.add_option("--recipients", options.recipients, "Recipients of each message")
        ->check(CLI::PositiveNumber);
    app.add_option("--domains", options.domains, "Recipients' domains: d0.test to dN-1.test");
    app.add_option("--from", options.from, "The sender");
    app.add_option("--to", options.to, "The recipient; with --domains its local part alone");
    app.add_option("--name", options.name, "What Message-IDs begin with");
}

int run(int argc, char** argv) {
    SourceOptions options;
    CLI::App app{"Hands in mail as fast as a server takes it, or at a rate"};
    add_options(app, options);
    CLI11_PARSE(app, argc, argv);
    if (options.implicit_tls && options.tls == Tls::none) options.tls = Tls::full;
    stop_at_signals();
    std::signal(SIGPIPE, SIG_IGN);
    fmt::print("{}\n", Load(options).run());
    return 0;
}

}  // namespace
}  // namespace posthorse::bench

int main(int argc, char** argv) {
    return posthorse::bench::guarded("load_source", posthorse::bench::run, argc, argv);
}
