#include "daemon/intake/login.h"

#include <algorithm>

#include "daemon/runtime/await.h"
#include "daemon/runtime/log.h"
#include "daemon/runtime/pause.h"

namespace posthorse::intake {
namespace {

namespace asio = boost::asio;

constexpr std::string_view scram = "SCRAM-SHA-256";
constexpr std::string_view scram_plus = "SCRAM-SHA-256-PLUS";

}  // namespace

Login::Login(IntakeContext& context, PoolLimits& limits, std::string client)
    : context_(context), limits_(limits), client_(std::move(client)) {}

std::vector<std::string> Login::mechanisms() const {
    auto offered = context_.config.auth.mechanisms;
    const bool keys = context_.authenticator.knows_scram();
    std::erase_if(offered, [&](const auto& mechanism) {
        return (mechanism == scram && !keys) ||
               (mechanism == scram_plus && !(keys && bindings_.any()));
    });
    return offered;
}

asio::awaitable<LoginStep> Login::begin(smtp::AuthBegin begun) {
    if (co_await limits_.client_is_blocked()) {
        context_.metrics.auth_blocked.add();
        runtime::log::info("auth_blocked", {{"client", client_}});
        co_return LoginVerdict{
            "", {421, {4, 7, 0}, "too many failed logins from your address; try later"}};
    }
    if (smtp::PasswordExchange::knows(begun.mechanism)) {
        auto& exchange = exchange_.emplace<smtp::PasswordExchange>(begun.mechanism);
        co_return co_await take(exchange.begin(std::move(begun.initial)));
    }
    // A client that could bind itself, but was not offered to, is let in; one that was is not.
    const auto offered = mechanisms();
    const bool bound = std::ranges::find(offered, scram_plus) != offered.end();
    auto& exchange = exchange_.emplace<auth::ScramExchange>(
        begun.mechanism == scram_plus ? auth::ScramKind::plus : auth::ScramKind::plain,
        [this](const std::string& login) { return context_.authenticator.scram_keys(login); },
        bound ? bindings_ : auth::ChannelBindings{});
    if (!begun.initial) co_return smtp::Challenge{};  // the client speaks first
    co_return co_await take(exchange.step(*begun.initial));
}

asio::awaitable<LoginStep> Login::respond(std::string octets) {
    if (auto* password = std::get_if<smtp::PasswordExchange>(&exchange_))
        co_return co_await take(password->respond(std::move(octets)));
    auto& exchange = std::get<auth::ScramExchange>(exchange_);
    if (auto login = exchange.awaited_login(); !login.empty()) co_await slow_down(std::move(login));
    co_return co_await take(exchange.step(octets));
}

asio::awaitable<LoginStep> Login::take(smtp::PasswordStep step) {
    if (auto* challenge = std::get_if<smtp::Challenge>(&step)) co_return std::move(*challenge);
    abort();
    if (auto* credentials = std::get_if<smtp::Credentials>(&step))
        co_return co_await check(std::move(*credentials));
    co_return co_await refuse("");
}

asio::awaitable<LoginStep> Login::take(auth::ScramStep step) {
    if (auto* challenge = std::get_if<auth::ScramChallenge>(&step))
        co_return smtp::Challenge{std::move(challenge->octets)};
    abort();
    const auto verdict = std::get<auth::ScramVerdict>(std::move(step));
    if (verdict.accepted) co_return accept(verdict.login);
    co_return co_await refuse(verdict.login);
}

asio::awaitable<void> Login::slow_down(std::string login) {
    const auto delay = co_await limits_.login_delay(std::move(login));
    if (delay == Duration::zero()) co_return;
    context_.metrics.delayed_logins.add();
    co_await runtime::pause(delay);
}

asio::awaitable<LoginStep> Login::check(smtp::Credentials credentials) {
    const auto login = credentials.user;
    co_await slow_down(login);
    const auto good = co_await runtime::completed<bool>([&](Completion<bool> done) {
        context_.authenticator.check({login, std::move(credentials.password), client_},
                                     context_.home, std::move(done));
    });
    if (!good) {
        context_.metrics.auth_unavailable.add();
        runtime::log::warning("auth_unavailable",
                              {{"client", client_}, {"login", login}, {"why", good.error().what}});
        co_return LoginVerdict{"",
                               {454, {4, 7, 0}, "authentication is not possible now; try later"}};
    }
    if (*good) co_return accept(login);
    co_return co_await refuse(login);
}

LoginStep Login::accept(const std::string& login) {
    context_.metrics.auth_accepted.add();
    return LoginVerdict{auth::normalise_login(login).value_or(login),
                        {235, {2, 7, 0}, "authenticated"}};
}

asio::awaitable<LoginStep> Login::refuse(std::string login) {
    context_.metrics.auth_refused.add();
    limits_.login_failed(login);
    runtime::log::info("auth_failed", {{"client", client_}, {"login", login}});
    co_await runtime::pause(context_.config.auth.failure_delay);
    co_return LoginVerdict{"", {535, {5, 7, 8}, "authentication failed"}};
}

}  // namespace posthorse::intake
