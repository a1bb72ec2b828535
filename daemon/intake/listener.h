// The listening sockets, and every client's connection behind them.
//
// Place     node.cc starts and stops it; it makes connection.h objects, spread over the shards.
// Contract  start() binds all addresses or none. Sessions above `sessions_max` (or as many as fit
//           below the limit of open files, capacity.h), or above
//           `sessions_per_client_max` from one address, hear 421 and are closed. The address is the
//           client's, also when a proxy connects for it (proxy_header.h). Above a listener's own
//           `sessions_max` nobody is taken: who connects waits where the system keeps connections.
//           stop() refuses new connections at once, lets transactions under way end, and returns
//           when every session is gone; abandon() cuts off what is left.
// Owner     node.cc, on home. Each shard's connections are touched on that shard alone.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/intake/connection.h"
#include "daemon/intake/crowd.h"
#include "daemon/intake/intake_context.h"
#include "daemon/intake/proxy_header.h"
#include "daemon/runtime/log.h"
#include "daemon/runtime/shard.h"
#include "daemon/runtime/task_group.h"

namespace posthorse::intake {

class Listeners {
public:
    // `home` is the shard that accepts; `shards` (home among them) carry the sessions.
    Listeners(IntakeContext& context, runtime::Shard& home, std::vector<runtime::Shard*> shards);
    ~Listeners();
    Listeners(const Listeners&) = delete;
    Listeners& operator=(const Listeners&) = delete;

    Result<void> start();
    asio::awaitable<void> stop();
    void abandon();

    std::size_t sessions() const noexcept { return sessions_; }
    // The port that `listener` got: for configurations that say 0.
    std::uint16_t port(const std::string& listener) const;

private:
    struct Listening {
        Listening(const config::Listener& its,
                  AddressSet theirs,
                  runtime::tcp::acceptor bound,
                  Duration hasty)
            : settings(its),
              proxies(std::move(theirs)),
              acceptor(std::move(bound)),
              crowd(hasty),
              left(acceptor.get_executor(), runtime::asio::steady_timer::time_point::max()) {
            crowd.set_room(settings.sessions_max);
        }

        const config::Listener& settings;
        AddressSet proxies;
        runtime::tcp::acceptor acceptor;
        Crowd crowd;                       // of its own sessions, when it has a bound
        runtime::asio::steady_timer left;  // never expires; cancelled when one of them leaves
        std::uint64_t sessions = 0;

        bool full() const { return settings.sessions_max > 0 && sessions >= settings.sessions_max; }
    };
    // The sessions of one shard; touched on that shard alone.
    struct Carrier {
        explicit Carrier(runtime::Shard& s) : shard(s), tasks(s) {}
        runtime::Shard& shard;
        runtime::TaskGroup tasks;
        std::list<Connection*> live;
        std::list<runtime::Stream*> unannounced;  // of proxies, which have not named the client yet
    };

    Result<void> make_room();
    Result<void> listen(const config::Listener& settings);
    asio::awaitable<void> accept_loop(Listening& listening);
    asio::awaitable<void> while_full(Listening& listening);
    void admit(Listening& listening, Carrier& carrier, runtime::tcp::socket socket);
    bool enter(const std::string& client);
    void log_refusal(const std::string& client, const char* why);
    static void refuse(runtime::tcp::socket& socket, std::string_view line);
    asio::awaitable<void> serve(Carrier& carrier,
                                Listening& listening,
                                runtime::tcp::socket socket,
                                std::string client);
    asio::awaitable<std::optional<asio::ip::address>> announced(Carrier& carrier,
                                                                const Listening& listening,
                                                                runtime::Stream& stream);
    void session_ended(Listening& listening, const std::string& client);
    void judge_crowd(Listening& listening);
    void crowd_changed(const Crowd& crowd, std::uint64_t sessions, std::uint64_t sessions_max);
    asio::awaitable<void> each_carrier_joined();

    IntakeContext& context_;
    runtime::Shard& home_;
    std::vector<std::unique_ptr<Carrier>> carriers_;
    std::list<Listening> listening_;
    runtime::TaskGroup accepting_;
    std::size_t next_carrier_ = 0;
    std::size_t sessions_ = 0;
    std::uint64_t sessions_max_ = 0;
    Crowd crowd_;
    std::unordered_map<std::string, std::uint32_t> sessions_by_client_;
    runtime::log::RateLimit refusals_logged_;
    runtime::log::RateLimit failures_logged_;
};

}  // namespace posthorse::intake
