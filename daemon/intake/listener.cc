#include "daemon/intake/listener.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "daemon/intake/capacity.h"
#include "daemon/runtime/await.h"
#include "daemon/runtime/descriptors.h"

namespace posthorse::intake {
namespace {

// How often refused connections are reported at most (a flood must not fill the log).
constexpr std::int64_t refusal_log_every_ms = 3 * 60 * 60 * 1000;
constexpr std::int64_t failure_log_every_ms = 60 * 1000;

// A proxy sends it with its first packet.
constexpr auto header_patience = std::chrono::seconds{10};

constexpr std::string_view too_many = "421 4.3.2 too many sessions; try later\r\n";
constexpr std::string_view too_many_of_client = "421 4.7.0 too many sessions from your address\r\n";

// In a list for as long as it lives.
template <class T>
class Listed {
public:
    Listed(std::list<T*>& list, T& one) : list_(list), entry_(list.insert(list.end(), &one)) {}
    ~Listed() { list_.erase(entry_); }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;

private:
    std::list<T*>& list_;
    typename std::list<T*>::iterator entry_;
};

std::string unbracketed(std::string address) {
    if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
        return address.substr(1, address.size() - 2);
    }
    return address;
}

}  // namespace

Listeners::Listeners(IntakeContext& context,
                     runtime::Shard& home,
                     std::vector<runtime::Shard*> shards)
    : context_(context),
      home_(home),
      accepting_(home),
      crowd_(context.config.timeouts.server_crowded),
      refusals_logged_(refusal_log_every_ms),
      failures_logged_(failure_log_every_ms) {
    for (auto* shard : shards) carriers_.push_back(std::make_unique<Carrier>(*shard));
}

Listeners::~Listeners() = default;

Result<void> Listeners::start() {
    if (auto room = make_room(); !room) return room;
    for (const auto& settings : context_.config.listeners) {
        if (auto bound = listen(settings); !bound) {
            listening_.clear();
            return bound;
        }
    }
    for (auto& listening : listening_) accepting_.spawn(accept_loop(listening));
    return {};
}

// Sessions that would run out of descriptors are refused by number, while there are some left.
Result<void> Listeners::make_room() {
    const auto& config = context_.config;
    const auto wanted = descriptors_wanted(config);
    const auto limit = runtime::raise_descriptor_limit(wanted);
    sessions_max_ = sessions_that_fit(config, limit);
    crowd_.set_room(sessions_max_);
    if (sessions_max_ == 0)
        return Error{Errc::invalid, "the limit of open files, " + std::to_string(limit) +
                                        ", leaves no room for sessions: raise it to " +
                                        std::to_string(wanted) +
                                        " (LimitNOFILE, ulimit -n), or lower "
                                        "delivery.connections_max"};
    if (limit < wanted)
        runtime::log::warning("open_files_short", {{"limit", limit},
                                                   {"wanted", wanted},
                                                   {"sessions", sessions_max_},
                                                   {"sessions_max", config.intake.sessions_max}});
    return {};
}

Result<void> Listeners::listen(const config::Listener& settings) {
    const auto where = settings.address + " port " + std::to_string(settings.port);
    const auto failed = [&](const boost::system::error_code& code) {
        return Error{Errc::unavailable, "listener '" + settings.name + "' cannot listen on " +
                                            where + ": " + code.message()};
    };
    boost::system::error_code code;
    const auto address = asio::ip::make_address(unbracketed(settings.address), code);
    if (code) return failed(code);
    const runtime::tcp::endpoint endpoint(address, settings.port);
    runtime::tcp::acceptor acceptor(home_.context());
    acceptor.open(endpoint.protocol(), code);
    if (!code) acceptor.set_option(asio::socket_base::reuse_address(true), code);
    if (!code && address.is_v6())
        acceptor.set_option(asio::ip::v6_only(!address.is_unspecified()), code);
    if (!code) acceptor.bind(endpoint, code);
    if (!code) acceptor.listen(asio::socket_base::max_listen_connections, code);
    if (code) return failed(code);
    const auto bound = acceptor.local_endpoint();
    auto proxies = AddressSet::parse(settings.proxies);
    if (!proxies) return proxies.error();
    listening_.emplace_back(settings, *std::move(proxies), std::move(acceptor),
                            context_.config.timeouts.server_crowded);
    runtime::log::info("listening", {{"listener", settings.name},
                                     {"address", bound.address().to_string()},
                                     {"port", bound.port()}});
    return {};
}

std::uint16_t Listeners::port(const std::string& listener) const {
    for (const auto& listening : listening_) {
        if (listening.settings.name == listener) return listening.acceptor.local_endpoint().port();
    }
    return 0;
}

asio::awaitable<void> Listeners::while_full(Listening& listening) {
    while (listening.full() && listening.acceptor.is_open())
        co_await listening.left.async_wait(asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<void> Listeners::accept_loop(Listening& listening) {
    for (;;) {
        co_await while_full(listening);
        if (!listening.acceptor.is_open()) co_return;
        auto& carrier = *carriers_[next_carrier_++ % carriers_.size()];
        auto [code, socket] = co_await listening.acceptor.async_accept(
            carrier.shard.context(), asio::as_tuple(asio::use_awaitable));
        if (code == asio::error::operation_aborted) co_return;
        if (code) {  // out of descriptors, most likely: the backlog keeps the clients meanwhile
            std::uint64_t suppressed = 0;
            if (failures_logged_.allow(context_.clock.boot().time_since_epoch().count(),
                                       suppressed))
                runtime::log::error("accept_failed", {{"listener", listening.settings.name},
                                                      {"why", code.message()},
                                                      {"suppressed_since", suppressed}});
            asio::steady_timer breather(home_.context(), std::chrono::milliseconds{200});
            co_await breather.async_wait(asio::use_awaitable);
            continue;
        }
        admit(listening, carrier, std::move(socket));
    }
}

void Listeners::admit(Listening& listening, Carrier& carrier, runtime::tcp::socket socket) {
    boost::system::error_code code;
    const auto peer = socket.remote_endpoint(code);
    if (code) return;  // gone already
    const bool proxied = listening.proxies.contains(peer.address());
    auto client = proxied ? std::string{} : peer.address().to_string();
    if (sessions_ >= sessions_max_) {
        log_refusal(peer.address().to_string(), "sessions_max");
        return refuse(socket, too_many);
    }
    if (!proxied && !enter(client)) return refuse(socket, too_many_of_client);
    ++sessions_;
    ++listening.sessions;
    judge_crowd(listening);
    context_.metrics.sessions.add();
    context_.metrics.sessions_open.add(1);
    carrier.shard.post([this, &carrier, &listening, socket = std::move(socket),
                        client = std::move(client)]() mutable {
        carrier.tasks.spawn(serve(carrier, listening, std::move(socket), std::move(client)));
    });
}

// Counts a session of this client, unless it has too many.
bool Listeners::enter(const std::string& client) {
    const auto found = sessions_by_client_.find(client);
    const auto now = found == sessions_by_client_.end() ? 0 : found->second;
    if (now >= context_.config.intake.sessions_per_client_max) {
        log_refusal(client, "sessions_per_client_max");
        return false;
    }
    ++sessions_by_client_[client];
    return true;
}

void Listeners::log_refusal(const std::string& client, const char* why) {
    context_.metrics.sessions_refused.add();
    std::uint64_t suppressed = 0;
    if (!refusals_logged_.allow(context_.clock.boot().time_since_epoch().count(), suppressed))
        return;
    runtime::log::warning("sessions_refused",
                          {{"client", client}, {"why", why}, {"suppressed_since", suppressed}});
}

// Best effort: whoever floods must not cost a coroutine each.
void Listeners::refuse(runtime::tcp::socket& socket, std::string_view line) {
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(line.data(), line.size()), ignored);
}

asio::awaitable<void> Listeners::serve(Carrier& carrier,
                                       Listening& listening,
                                       runtime::tcp::socket socket,
                                       std::string client) {
    // Leaves the books in order however the conversation ends, by an exception too.
    struct Counted {
        Listeners& listeners;
        Listening& listening;
        std::string client;
        ~Counted() {
            listeners.home_.post([&all = listeners, &one = listening, name = client] {
                all.session_ended(one, name);
            });
        }
    } counted{*this, listening, std::move(client)};
    runtime::Stream stream(std::move(socket));
    auto address = stream.peer().address();
    if (counted.client.empty()) {
        const auto told = co_await announced(carrier, listening, stream);
        if (!told) co_return;
        address = *told;
        auto name = address.to_string();
        const auto entered = co_await runtime::completed_on<bool>(
            home_, [this, &name](Completion<bool> done) { done(enter(name)); });
        if (!*entered) co_return refuse(stream.socket(), too_many_of_client);
        counted.client = std::move(name);
    }
    Connection connection(context_, {crowd_, listening.crowd}, listening.settings, stream, address);
    const Listed listed(carrier.live, connection);
    co_await connection.run();
}

// The client that a proxy names. nullopt: the connection is over.
asio::awaitable<std::optional<asio::ip::address>> Listeners::announced(Carrier& carrier,
                                                                       const Listening& listening,
                                                                       runtime::Stream& stream) {
    const Listed listed(carrier.unannounced, stream);
    const auto proxy = stream.peer().address();
    const auto until = context_.clock.boot() + header_patience;
    const auto failed = [&](const std::string& why) {
        context_.metrics.proxy_failures.add();
        runtime::log::warning(
            "proxy_header_missing",
            {{"proxy", proxy.to_string()}, {"listener", listening.settings.name}, {"why", why}});
    };
    ProxyHeader header;
    std::array<char, ProxyHeader::octets_max> octets;
    while (header.wanted() > 0) {
        const auto left = std::max(Duration{1}, until - context_.clock.boot());
        const auto count =
            co_await stream.read_some(std::span(octets).first(header.wanted()), left);
        if (!count) {  // a probe of the proxy that connects and leaves is nothing to report
            if (count.error().end == runtime::IoEnd::timed_out) failed("it did not come in time");
            co_return std::nullopt;
        }
        if (const auto taken = header.take({octets.data(), *count}); !taken) {
            failed(taken.error().what);
            co_return std::nullopt;
        }
    }
    co_return header.client() ? header.client()->address() : proxy;
}

void Listeners::session_ended(Listening& listening, const std::string& client) {
    --sessions_;
    --listening.sessions;
    listening.left.cancel();
    judge_crowd(listening);
    context_.metrics.sessions_open.add(-1);
    const auto found = sessions_by_client_.find(client);
    if (found != sessions_by_client_.end() && --found->second == 0)
        sessions_by_client_.erase(found);
}

void Listeners::judge_crowd(Listening& listening) {
    const auto bound = listening.settings.sessions_max;
    if (crowd_.count(sessions_)) crowd_changed(crowd_, sessions_, sessions_max_);
    if (bound > 0 && listening.crowd.count(listening.sessions))
        crowd_changed(listening.crowd, listening.sessions, bound);
}

void Listeners::crowd_changed(const Crowd& crowd,
                              std::uint64_t sessions,
                              std::uint64_t sessions_max) {
    const bool dense = crowd.dense();
    context_.metrics.crowded.add(dense ? 1 : -1);
    runtime::log::warning(dense ? "crowd_began" : "crowd_ended",
                          {{"sessions", sessions}, {"sessions_max", sessions_max}});
    if (!dense) return;
    for (auto& carrier : carriers_) {
        carrier->shard.post([&carrier = *carrier] {
            for (auto* connection : carrier.live) connection->hurry();
        });
    }
}

asio::awaitable<void> Listeners::stop() {
    for (auto& listening : listening_) {
        boost::system::error_code ignored;
        listening.acceptor.close(ignored);
        listening.left.cancel();
    }
    co_await accepting_.join();
    for (auto& carrier : carriers_) {
        carrier->shard.post([&carrier = *carrier] {
            // A session that ends inside stop() leaves the list.
            for (auto entry = carrier.live.begin(); entry != carrier.live.end();)
                (*entry++)->stop();
            for (auto* stream : carrier.unannounced) stream->cancel();
        });
    }
    co_await each_carrier_joined();
}

void Listeners::abandon() {
    for (auto& carrier : carriers_) {
        carrier->shard.post([&carrier = *carrier] { carrier.tasks.cancel(); });
    }
}

// Each group is joined on its own shard; the caller waits on home.
asio::awaitable<void> Listeners::each_carrier_joined() {
    for (auto& carrier : carriers_) {
        co_await runtime::completed_on<void>(carrier->shard,
                                             [&carrier = *carrier](Completion<> done) {
                                                 carrier.tasks.when_empty(std::move(done));
                                             });
    }
}

}  // namespace posthorse::intake
