#include "tests/support/server_peer.h"

#include <utility>

#include "proto/smtp/address.h"
#include "proto/types/assert.h"

namespace posthorse::test {

using namespace smtp;

ServerProfile server_profile(std::string_view name) {
    ServerProfile profile{.host_name = "mx.example.org"};
    profile.limits.message_bytes_max = 100'000;
    profile.limits.recipients_max = 100;
    profile.limits.idle_commands_max = 20;
    profile.limits.errors_max = 10;
    profile.starttls = name != "submissions";
    profile.implicit_tls = name == "submissions";
    profile.auth = name != "mx";
    profile.auth_in_clear = name == "trusted";
    profile.require_auth = name != "mx";
    profile.require_tls = name == "submission" || name == "submissions";
    profile.deliver_by_min = std::chrono::minutes{1};
    profile.priority_max = profile.auth ? 4 : 0;
    if (profile.auth) {  // for a day, and not after this century
        profile.release = {.after_max = std::chrono::days{1},
                           .at_max = std::chrono::sys_days{std::chrono::year{2100} / 1 / 1}};
    }
    return profile;
}

ServerPeer::ServerPeer(ServerProfile profile) : session_(std::move(profile)) {
    Effects effects;
    session_.start(effects);
    carry_out(std::move(effects));
}

void ServerPeer::receive(std::string_view bytes) {
    input_ += bytes;
    while (!input_.empty() && step()) {
    }
}

// Feeds once; false: the session wants more bytes, or none.
bool ServerPeer::step() {
    if (tls_wanted()) {
        input_.clear();  // what came before the handshake is void
        return false;
    }
    const auto state = session_.state();
    Effects effects;
    const auto taken = session_.feed(input_, effects);
    PH_ASSERT(taken <= input_.size());
    PH_ASSERT(taken > 0 || effects.empty());
    PH_ASSERT(taken == 0 || (state != ServerSession::State::closed));
    carry_out(std::move(effects));
    input_.erase(0, taken);
    return taken > 0;
}

void ServerPeer::finish_tls() {
    Effects effects;
    session_.tls_established(effects);
    carry_out(std::move(effects));
}

bool ServerPeer::end(EndReason reason) {
    Effects effects;
    const bool ended = session_.end(reason, effects);
    carry_out(std::move(effects));
    return ended;
}

std::string ServerPeer::take_output() {
    return std::exchange(output_, {});
}

void ServerPeer::carry_out(Effects effects) {
    for (auto& effect : effects) {
        PH_ASSERT(!closed_);
        std::visit([this](auto& e) { on(e); }, effect);
    }
}

void ServerPeer::answer(const Reply& reply) {
    Effects effects;
    session_.verdict(reply, effects);
    carry_out(std::move(effects));
}

void ServerPeer::on(Send& send) {
    PH_ASSERT(send.bytes.ends_with("\r\n"));
    output_ += send.bytes;
}

void ServerPeer::on(AuthBegin& begun) {
    PH_ASSERT(!exchange_);
    exchange_.emplace(begun.mechanism);
    on_auth(exchange_->begin(std::move(begun.initial)));
}

void ServerPeer::on(AuthResponse& response) {
    PH_ASSERT(exchange_);
    on_auth(exchange_->respond(std::move(response.octets)));
}

void ServerPeer::on(AuthAbort&) {
    PH_ASSERT(exchange_);
    exchange_.reset();
}

void ServerPeer::on_auth(const PasswordStep& step) {
    Effects effects;
    if (const auto* challenge = std::get_if<Challenge>(&step)) {
        session_.auth_challenge(challenge->octets, effects);
        return carry_out(std::move(effects));
    }
    const auto* asked = std::get_if<Credentials>(&step);
    const bool good =
        asked != nullptr && asked->user == "alice@example.org" && asked->password == "secret";
    const Reply reply = good ? Reply{235, {2, 7, 0}, "Authenticated"}
                             : Reply{535, {5, 7, 8}, "Authentication credentials invalid"};
    exchange_.reset();
    session_.auth_verdict(good ? asked->user : std::string{}, reply, effects);
    carry_out(std::move(effects));
}

void ServerPeer::on(CheckMail& asked) {
    const auto& login = session_.facts().login;
    if (!login.empty() && !asked.sender.empty() && asked.sender != login) {
        return answer({553, {5, 7, 1}, "Sender is not yours"});
    }
    answer({250, {2, 1, 0}, "OK"});
}

void ServerPeer::on(CheckRcpt& asked) {
    const auto domain = domain_of(asked.recipient);
    const bool local = equal_ignoring_case(domain, "example.org") || domain.empty();
    if (!local && session_.facts().login.empty())
        return answer({550, {5, 7, 1}, "Relaying denied"});
    if (asked.recipient == "nobody@example.org") return answer({550, {5, 1, 1}, "No such user"});
    if (asked.recipient == "later@example.org") return answer({451, {4, 2, 0}, "Try later"});
    if (asked.recipient == "busy@example.org") return answer({421, {4, 3, 2}, "Too busy"});
    answer({250, {2, 1, 5}, "OK"});
}

void ServerPeer::on(BodyBegin&) {
    PH_ASSERT(!in_body_ && session_.in_transaction());
    PH_ASSERT(!session_.transaction().recipients.empty());
    in_body_ = true;
    body_.clear();
}

void ServerPeer::on(BodyData& data) {
    PH_ASSERT(in_body_);
    body_ += data.bytes;
}

void ServerPeer::on(MessageEnd& end) {
    PH_ASSERT(in_body_);
    in_body_ = false;
    if (end.fault) {
        ++refused_bodies_;
        return;
    }
    const auto& transaction = session_.transaction();
    ReceivedMessage message{transaction.sender, {}, body_};
    for (const auto& one : transaction.recipients) message.recipients.push_back(one.address);
    messages_.push_back(std::move(message));
    answer({250, {2, 0, 0}, "Queued"});
}

void ServerPeer::on(BodyAbort&) {
    PH_ASSERT(in_body_);
    in_body_ = false;
    ++aborted_bodies_;
}

}  // namespace posthorse::test
