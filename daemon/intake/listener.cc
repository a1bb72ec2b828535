#include "daemon/intake/listener.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "daemon/runtime/await.h"

namespace posthorse::intake {
namespace {

// How often refused connections are reported at most (a flood must not fill the log).
constexpr std::int64_t refusal_log_every_ms = 3 * 60 * 60 * 1000;

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
    : context_(context), home_(home), accepting_(home), refusals_logged_(refusal_log_every_ms) {
    for (auto* shard : shards) carriers_.push_back(std::make_unique<Carrier>(*shard));
}

Listeners::~Listeners() = default;

Result<void> Listeners::start() {
    for (const auto& settings : context_.config.listeners) {
        if (auto bound = listen(settings); !bound) {
            listening_.clear();
            return bound;
        }
    }
    for (auto& listening : listening_) accepting_.spawn(accept_loop(listening));
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
    listening_.push_back({settings, std::move(acceptor)});
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

asio::awaitable<void> Listeners::accept_loop(Listening& listening) {
    for (;;) {
        auto& carrier = *carriers_[next_carrier_++ % carriers_.size()];
        auto [code, socket] = co_await listening.acceptor.async_accept(
            carrier.shard.context(), asio::as_tuple(asio::use_awaitable));
        if (code == asio::error::operation_aborted) co_return;
        if (code) {  // out of descriptors, most likely: the backlog keeps the clients meanwhile
            runtime::log::error("accept_failed",
                                {{"listener", listening.settings.name}, {"why", code.message()}});
            asio::steady_timer breather(home_.context(), std::chrono::milliseconds{200});
            co_await breather.async_wait(asio::use_awaitable);
            continue;
        }
        admit(listening.settings, carrier, std::move(socket));
    }
}

void Listeners::admit(const config::Listener& settings,
                      Carrier& carrier,
                      runtime::tcp::socket socket) {
    boost::system::error_code code;
    const auto peer = socket.remote_endpoint(code);
    if (code) return;  // gone already
    const auto client = peer.address().to_string();
    const auto& limits = context_.config.intake;
    const bool crowded = sessions_ >= limits.sessions_max;
    auto& from_client = sessions_by_client_[client];
    if (crowded || from_client >= limits.sessions_per_client_max) {
        if (from_client == 0) sessions_by_client_.erase(client);
        context_.metrics.sessions_refused.add();
        std::uint64_t suppressed = 0;
        if (refusals_logged_.allow(context_.clock.boot().time_since_epoch().count(), suppressed)) {
            runtime::log::warning("sessions_refused",
                                  {{"client", client},
                                   {"why", crowded ? "sessions_max" : "sessions_per_client_max"},
                                   {"suppressed_since", suppressed}});
        }
        return refuse(std::move(socket), crowded
                                             ? "421 4.3.2 too many sessions; try later\r\n"
                                             : "421 4.7.0 too many sessions from your address\r\n");
    }
    ++from_client;
    ++sessions_;
    context_.metrics.sessions.add();
    context_.metrics.sessions_open.add(1);
    carrier.shard.post([this, &carrier, &settings, socket = std::move(socket),
                        client = std::string(client)]() mutable {
        carrier.tasks.spawn(serve(carrier, settings, std::move(socket), std::move(client)));
    });
}

// Best effort: whoever floods must not cost a coroutine each.
void Listeners::refuse(runtime::tcp::socket socket, std::string_view line) {
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(line.data(), line.size()), ignored);
}

asio::awaitable<void> Listeners::serve(Carrier& carrier,
                                       const config::Listener& settings,
                                       runtime::tcp::socket socket,
                                       std::string client) {
    Connection connection(context_, settings, std::move(socket));
    // Leaves the books in order however the conversation ends, by an exception too.
    struct Registered {
        Listeners& listeners;
        Carrier& carrier;
        std::string client;
        std::list<Connection*>::iterator entry;
        ~Registered() {
            carrier.live.erase(entry);
            listeners.home_.post([&all = listeners, name = client] { all.session_ended(name); });
        }
    } registered{*this, carrier, std::move(client),
                 carrier.live.insert(carrier.live.end(), &connection)};
    co_await connection.run();
}

void Listeners::session_ended(const std::string& client) {
    --sessions_;
    context_.metrics.sessions_open.add(-1);
    const auto found = sessions_by_client_.find(client);
    if (--found->second == 0) sessions_by_client_.erase(found);
}

asio::awaitable<void> Listeners::stop() {
    for (auto& listening : listening_) {
        boost::system::error_code ignored;
        listening.acceptor.close(ignored);
    }
    co_await accepting_.join();
    for (auto& carrier : carriers_) {
        carrier->shard.post([&carrier = *carrier] {
            // A session that ends inside stop() leaves the list.
            for (auto entry = carrier.live.begin(); entry != carrier.live.end();)
                (*entry++)->stop();
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
