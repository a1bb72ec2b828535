#include "tests/support/client_peer.h"

#include <algorithm>
#include <utility>

#include "proto/types/assert.h"

namespace posthorse::test {

using namespace smtp;

ClientPeer::ClientPeer(ClientProfile profile, std::vector<Job> jobs)
    : session_(std::move(profile)), jobs_(std::move(jobs)) {
    ClientEffects effects;
    session_.start(effects);
    carry_out(std::move(effects));
}

void ClientPeer::receive(std::string_view bytes) {
    input_ += bytes;
    ClientEffects effects;
    const auto taken = session_.feed(input_, effects);
    PH_ASSERT(taken <= input_.size());
    input_.erase(0, taken);
    carry_out(std::move(effects));
}

void ClientPeer::end(ClientEnd reason) {
    ClientEffects effects;
    session_.end(reason, "the test ended it", effects);
    carry_out(std::move(effects));
}

std::string ClientPeer::take_output() {
    return std::exchange(output_, {});
}

void ClientPeer::carry_out(ClientEffects effects) {
    for (auto& effect : effects) {
        PH_ASSERT(!closed_);
        std::visit([this](auto& e) { on(e); }, effect);
    }
}

void ClientPeer::next_job() {
    PH_ASSERT(!in_job_);
    if (session_.state() != ClientSession::State::ready) return;
    ClientEffects effects;
    if (results_.size() == jobs_.size() || !session_.may_deliver()) {
        session_.quit(effects);
    } else {
        in_job_ = true;
        dot_sent_ = false;
        results_.emplace_back();
        session_.deliver(jobs_[results_.size() - 1], effects);
    }
    carry_out(std::move(effects));
}

void ClientPeer::on(ClientStartTls&) {
    output_ += "(tls)";
    ClientEffects effects;
    if (tls_works) {
        session_.tls_established(tls_peer, effects);
    } else {
        session_.tls_failed("no shared cipher", effects);
    }
    carry_out(std::move(effects));
}

void ClientPeer::on(SendBody&) {
    output_ += "(body)";
    ClientEffects effects;
    session_.body_sent(effects);
    carry_out(std::move(effects));
}

void ClientPeer::on(MayEnd&) {
    ClientEffects effects;
    dot_sent_ = lease_is_good;
    session_.dot(lease_is_good, effects);
    carry_out(std::move(effects));
}

void ClientPeer::on(RecipientResult& result) {
    PH_ASSERT(in_job_);
    auto& results = results_.back();
    PH_ASSERT(result.recipient < jobs_[results_.size() - 1].recipients.size());
    PH_ASSERT(std::ranges::find(results, result.recipient, &RecipientResult::recipient) ==
              results.end());
    PH_ASSERT(result.kind != OutcomeKind::delivered || dot_sent_);
    results.push_back(std::move(result));
}

void ClientPeer::on(JobDone& done) {
    PH_ASSERT(in_job_);
    auto& results = results_.back();
    PH_ASSERT(results.size() == jobs_[results_.size() - 1].recipients.size());
    std::ranges::sort(results, {}, &RecipientResult::recipient);
    in_job_ = false;
    usable_ = done.connection_usable;
    if (usable_) next_job();
}

}  // namespace posthorse::test
