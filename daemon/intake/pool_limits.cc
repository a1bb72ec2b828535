#include "daemon/intake/pool_limits.h"

#include <algorithm>

#include "daemon/auth/password_file.h"
#include "daemon/config/table.h"
#include "daemon/runtime/await.h"

namespace posthorse::intake {
namespace {

namespace asio = boost::asio;
using replication::CountKey;
using replication::PoolCounts;

constexpr Duration login_delay_max = std::chrono::seconds{30};
constexpr Duration greeting_delay_max = std::chrono::seconds{10};
// Failures of a login from everywhere may be more than those from one client: its owner's devices
// with an old password are among them.
constexpr std::uint64_t clients_of_a_login = 10;
constexpr Duration connections_window = std::chrono::seconds{12};
constexpr Duration day = std::chrono::hours{24};

}  // namespace

std::string client_network(const asio::ip::address& address) {
    if (address.is_v4()) return address.to_string();
    const auto v6 = address.to_v6();
    if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string();
    auto octets = v6.to_bytes();
    std::fill(octets.begin() + 8, octets.end(), std::uint8_t{0});
    return asio::ip::address_v6(octets).to_string() + "/64";
}

Duration login_delay(const config::Auth& auth, const LoginFailures& failures) {
    const std::uint64_t limit = auth.failures_per_login_max;
    if (limit == 0) return {};
    Duration delay{};
    if (failures.from_all.reached(limit * clients_of_a_login)) delay = auth.failure_delay;
    for (std::uint64_t step = limit; failures.from_client.reached(step); step += limit) {
        delay = std::max(delay * 2, auth.failure_delay);
        if (delay >= login_delay_max || delay == Duration::zero()) break;
    }
    return std::min(delay, login_delay_max);
}

std::string counted_sender(const auth::SenderPolicy& policy,
                           const Client& client,
                           const std::string& sender) {
    if (!is_submission(client)) return {};
    if (!client.login.empty() && !policy.is_exempt(client.login)) return client.login;
    return config::lower(sender);
}

PoolLimits::PoolLimits(IntakeContext& context, const asio::ip::address& client, bool trusted)
    : context_(context), network_(client_network(client)), trusted_(trusted) {}

CountKey PoolLimits::failed_key(const std::string& whose) const {
    return {"login-failed/" + whose, context_.config.auth.failure_window};
}

asio::awaitable<PoolCounts::Levels> PoolLimits::ask(std::vector<CountKey> keys) {
    auto levels = co_await runtime::completed_on<PoolCounts::Levels>(
        context_.home, [&counts = context_.counts,
                        keys = std::move(keys)](Completion<PoolCounts::Levels> done) mutable {
            counts.ask(std::move(keys), [done = std::move(done)](PoolCounts::Levels all) mutable {
                done(std::move(all));
            });
        });
    co_return std::move(*levels);
}

void PoolLimits::count(std::vector<CountKey> keys) {
    context_.home.post([&counts = context_.counts, keys = std::move(keys)] {
        for (const auto& key : keys) counts.count(key);
    });
}

asio::awaitable<Duration> PoolLimits::greeting_delay() {
    const auto per_second = context_.config.limits.client_connections_per_second;
    if (per_second == 0 || trusted_) co_return Duration::zero();
    const CountKey key{"connected/" + network_, connections_window};
    count({key});
    const auto levels = co_await ask({key});
    const auto limit = per_second * static_cast<std::uint64_t>(connections_window.count()) / 1000;
    Duration delay{};
    for (auto step = limit; levels[0].reached(step + 1) && delay < greeting_delay_max;
         step += limit)
        delay += std::chrono::seconds{1};
    co_return delay;
}

asio::awaitable<bool> PoolLimits::client_is_blocked() {
    const auto limit = context_.config.auth.failures_per_client_max;
    if (limit == 0 || trusted_) co_return false;
    const auto levels = co_await ask({failed_key(network_)});
    co_return levels[0].reached(limit);
}

asio::awaitable<Duration> PoolLimits::login_delay(std::string login) {
    const auto& settings = context_.config.auth;
    const auto name = auth::normalise_login(login);
    if (!name || settings.failures_per_login_max == 0) co_return Duration::zero();
    const auto levels = co_await ask({failed_key(*name + ' ' + network_), failed_key(*name + ' ')});
    co_return intake::login_delay(settings, {levels[0], levels[1]});
}

// No login holds a space, and no network: the names cannot be mistaken for each other.
void PoolLimits::login_failed(const std::string& login) {
    std::vector<CountKey> keys;
    if (!trusted_) keys.push_back(failed_key(network_));
    if (const auto name = auth::normalise_login(login)) {
        keys.push_back(failed_key(*name + ' ' + network_));
        keys.push_back(failed_key(*name + ' '));
    }
    count(std::move(keys));
}

asio::awaitable<bool> PoolLimits::sender_is_exhausted(std::string sender) {
    const auto limit = context_.config.limits.sender_messages_per_day;
    if (limit == 0 || sender.empty()) co_return false;
    const auto levels = co_await ask({{"sent/" + sender, day}});
    co_return levels[0].reached(limit);
}

void PoolLimits::accepted_from(const std::string& sender) {
    if (context_.config.limits.sender_messages_per_day == 0 || sender.empty()) return;
    count({{"sent/" + sender, day}});
}

}  // namespace posthorse::intake
