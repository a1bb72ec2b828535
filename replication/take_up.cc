#include "replication/take_up.h"

#include <algorithm>

namespace posthorse::replication {
namespace {

constexpr Duration ask_again = std::chrono::milliseconds{50};

}  // namespace

TakeUp::TakeUp(PartitionState state,
               NodeId self,
               storage::QueueStore& store,
               PeerStreams& streams,
               Completion<storage::Position> done)
    : state_(std::move(state)),
      slice_{state_.id, state_.epoch},
      self_(self),
      store_(store),
      streams_(streams),
      done_(std::move(done)) {}

void TakeUp::begin(BootTime now) {
    for (const auto& node : state_.in_sync) {
        if (node == self_) continue;
        others_[node] = {.heard = now};
        ask(node);
    }
    store_.fence(state_.id, state_.epoch,
                 [weak = weak_from_this()](Result<storage::CopyState> copy) {
                     const auto self = weak.lock();
                     if (self && !self->ended_) self->fenced(std::move(copy));
                 });
}

void TakeUp::fenced(Result<storage::CopyState> copy) {
    if (!copy) return finish(copy.error());
    own_ = *copy;
    consider();
}

// It is lost when the stream is not up yet: up() asks again.
void TakeUp::ask(NodeId node) {
    streams_.send(node, Open{slice_});
}

void TakeUp::up(NodeId node) {
    const auto asked = others_.find(node);
    if (asked == others_.end() || ended_) return;
    if (source_ == node) {  // its copy comes anew
        target_->end();
        source_.reset();
    }
    asked->second.at.reset();
    ask(node);
}

void TakeUp::answered(NodeId node, Frame frame, BootTime now) {
    const auto asked = others_.find(node);
    if (asked == others_.end() || ended_ || slice_of(frame) != slice_) return;
    if (std::holds_alternative<Refused>(frame)) {
        if (source_ == node) {  // its copy comes anew, or another's
            target_->end();
            source_.reset();
        }
        asked->second.at.reset();
        asked->second.again = true;
        asked->second.again_at = now + ask_again;
        return;
    }
    asked->second.heard = now;
    if (const auto* standing = std::get_if<Standing>(&frame)) {
        asked->second.at = standing->at;
        return consider();
    }
    if (source_ != node) return;
    const auto target = target_;
    if (const auto* page = std::get_if<Page>(&frame)) target->on(*page);
    if (auto* body = std::get_if<Body>(&frame)) target->on(std::move(*body));
    if (auto* record = std::get_if<Record>(&frame)) target->on(std::move(*record));
    if (const auto* gone = std::get_if<Gone>(&frame)) target->on(*gone);
    if (auto* end = std::get_if<ListEnd>(&frame)) target->on(std::move(*end));
}

void TakeUp::consider() {
    if (!own_ || source_) return;
    const auto waits = [](const auto& entry) { return !entry.second.at; };
    if (std::any_of(others_.begin(), others_.end(), waits)) return;
    const auto furthest = std::max_element(
        others_.begin(), others_.end(),
        [](const auto& one, const auto& other) { return *one.second.at < *other.second.at; });
    if (furthest == others_.end() || *furthest->second.at <= own_->at)
        return own_->whole ? finish(own_->at) : declare_whole();
    source_ = furthest->first;
    target_ = std::make_shared<ListingTarget>(
        slice_, *furthest->second.at, store_,
        [this, node = *source_](Frame frame) { streams_.send(node, std::move(frame)); },
        [this, at = *furthest->second.at](Result<void> result) {
            if (!result) return finish(result.error());
            finish(at);
        });
    target_->begin();
    streams_.send(*source_, Pull{slice_});
}

void TakeUp::declare_whole() {
    const auto here = [weak = weak_from_this()](auto call) {
        return [weak, call = std::move(call)](auto result) {
            const auto self = weak.lock();
            if (self && !self->ended_) call(*self, std::move(result));
        };
    };
    store_.intents(
        slice_.partition, here([here](TakeUp& self, Result<std::vector<Intent>> intents) {
            if (!intents) return self.finish(intents.error());
            const auto& slice = self.slice_;
            self.store_.apply({{slice.partition, slice.epoch, Sequence{0}},
                               storage::EndCopy{self.own_->at, *std::move(intents)}},
                              here([](TakeUp& whole, Result<void> result) {
                                  if (!result) return whole.finish(result.error());
                                  // Like no other copy: it has parts of what came later.
                                  whole.finish(storage::Position{whole.slice_.epoch, Sequence{0}});
                              }));
        }));
}

// A refusal is no silence, but it is no answer either: who cannot hold it is dropped as well. Of an
// unvouched partition all are waited for: anybody may have the furthest copy.
std::vector<NodeId> TakeUp::tick(BootTime now, Duration silence) {
    std::vector<NodeId> silent;
    for (auto& [node, asked] : others_) {
        if (asked.again && now >= asked.again_at) {
            asked.again = false;
            ask(node);
        }
        const bool waited_for = !asked.at || source_ == node;
        if (state_.unvouched || !waited_for || now - asked.heard < silence) continue;
        asked.heard = now;
        silent.push_back(node);
    }
    return silent;
}

void TakeUp::end() {
    ended_ = true;
    if (target_) target_->end();
}

void TakeUp::finish(Result<storage::Position> at) {
    if (std::exchange(ended_, true)) return;
    done_(std::move(at));
}

}  // namespace posthorse::replication
