#include "replication/listing_target.h"

#include <algorithm>

#include "storage/queue_record.h"

namespace posthorse::replication {
namespace {

using AnyChange = decltype(storage::Operation::change);
using Known = std::map<QueueId, std::uint64_t>;

constexpr std::size_t page_messages = 1000;

}  // namespace

ListingTarget::ListingTarget(Slice slice,
                             storage::Position at,
                             storage::QueueStore& store,
                             std::function<void(Frame)> send,
                             Completion<> done)
    : slice_(slice), at_(at), store_(store), send_(std::move(send)), done_(std::move(done)) {}

template <class Call>
auto ListingTarget::here(Call call) {
    return [weak = weak_from_this(), call = std::move(call)](auto&&... args) mutable {
        const auto self = weak.lock();
        if (self && !self->ended_) call(std::forward<decltype(args)>(args)...);
    };
}

void ListingTarget::apply(AnyChange change, Completion<> done) {
    store_.apply({{slice_.partition, slice_.epoch, Sequence{0}}, std::move(change)},
                 here(std::move(done)));
}

void ListingTarget::apply(AnyChange change) {
    apply(std::move(change), [this](Result<void> result) {
        if (!result) fail(result.error());
    });
}

void ListingTarget::begin() {
    apply(storage::BeginCopy{});
}

void ListingTarget::fail(const Error& error) {
    if (std::exchange(ended_, true)) return;
    done_(error);
}

// ------------------------------------------------------------------ operations beside it

void ListingTarget::operated(const storage::Operation& operation, bool whole) {
    if (const auto* commit = std::get_if<storage::Commit>(&operation.change)) {
        touched_[commit->envelope.id] = whole ? Touch::whole : Touch::changed;
        if (!whole) lacking_.insert(commit->envelope.id);
    } else if (const auto* intend = std::get_if<storage::Intend>(&operation.change)) {
        begun_[{intend->intent.id, intend->intent.attempt}] = intend->intent;
    } else if (const auto* settle = std::get_if<storage::Settle>(&operation.change)) {
        for (const auto attempt : settle->ended_attempts) {
            begun_.erase({settle->id, attempt});
            ended_attempts_.insert({settle->id, attempt});
        }
        for (const auto& notice : settle->notices) touched_[notice.envelope.id] = Touch::whole;
        auto& touch = touched_.try_emplace(settle->id, Touch::changed).first->second;
        if (!settle->after) {
            touch = Touch::removed;
            lacking_.erase(settle->id);
        } else if (const auto awaited = awaited_.find(settle->id); awaited != awaited_.end()) {
            awaited->second = settle->after;
        }
    }
}

// ------------------------------------------------------------------ pages

void ListingTarget::on(const Page& page) {
    page_ = page;
    read_local(page.after, std::make_shared<Known>());
}

bool ListingTarget::in_range(QueueId id) const {
    return id > page_.after && (page_.last || id <= page_.upto);
}

void ListingTarget::read_local(QueueId after, std::shared_ptr<Known> known) {
    store_.list(slice_.partition, after, page_messages,
                here([this, known](Result<std::vector<Envelope>> found) {
                    if (!found) return fail(found.error());
                    for (const auto& envelope : *found) {
                        if (in_range(envelope.id))
                            (*known)[envelope.id] = storage::digest(envelope);
                    }
                    const bool more = found->size() == page_messages && in_range(found->back().id);
                    if (more) return read_local(found->back().id, known);
                    judge(*known);
                }));
}

void ListingTarget::judge(const Known& known) {
    std::set<QueueId> wanted;
    std::set<QueueId> listed(page_.unreadable.begin(), page_.unreadable.end());
    for (const auto& entry : page_.entries) {
        listed.insert(entry.id);
        const auto have = known.find(entry.id);
        const auto touched = touched_.find(entry.id);
        if (touched == touched_.end()) {
            if (have == known.end() || have->second != entry.version) wanted.insert(entry.id);
        } else if (touched->second == Touch::changed && have == known.end()) {
            wanted.insert(entry.id);  // the change was lost on this copy: there was nothing of it
        }
    }
    for (const auto& [id, version] : known) {
        if (listed.contains(id) || touched_.contains(id) || page_.damaged) continue;
        apply(storage::Forget{id});
    }
    if (page_.last) wanted.insert(lacking_.begin(), lacking_.end());
    if (!ended_) want(std::move(wanted));
}

void ListingTarget::want(std::set<QueueId> ids) {
    for (const auto id : ids) awaited_[id];
    send_(Want{slice_, {ids.begin(), ids.end()}});
}

void ListingTarget::want_bodies() {
    want(lacking_);
}

// ------------------------------------------------------------------ records

void ListingTarget::on(Body body) {
    apply(storage::Append{body.id, body.index, std::move(body.bytes)});
}

// An operation that came since it was wanted may know better what the record is.
void ListingTarget::on(Record record) {
    const auto id = record.envelope.id;
    const auto awaited = awaited_.extract(id);
    lacking_.erase(id);
    const auto touched = touched_.find(id);
    if (touched != touched_.end() && touched->second == Touch::removed)
        return apply(storage::Forget{id});
    if (!awaited.empty() && awaited.mapped() && awaited.mapped()->version > record.envelope.version)
        record.envelope = *std::move(awaited.mapped());
    apply(storage::Restore{std::move(record.envelope), std::move(record.head)});
}

// An operation took it, or nobody can read it.
void ListingTarget::on(const Gone& gone) {
    awaited_.erase(gone.id);
    lacking_.erase(gone.id);
}

void ListingTarget::on(ListEnd end) {
    if (!lacking_.empty()) return want_bodies();  // another end follows
    auto intents = begun_;
    for (auto& intent : end.intents) {
        const AttemptName name{intent.id, intent.attempt};
        if (!ended_attempts_.contains(name)) intents.emplace(name, std::move(intent));
    }
    storage::EndCopy whole{at_, {}};
    for (auto& [name, intent] : intents) whole.intents.push_back(std::move(intent));
    apply(std::move(whole), [this](Result<void> result) {
        if (!result) return fail(result.error());
        if (!lacking_.empty()) {
            begin();
            return want_bodies();
        }
        ended_ = true;
        done_({});
    });
}

}  // namespace posthorse::replication
