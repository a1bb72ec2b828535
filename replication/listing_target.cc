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
    store_.apply({.stamp = {slice_.partition, slice_.epoch, Sequence{0}},
                  .change = std::move(change),
                  .unbroken = true},
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
        const auto& made = commit->envelope;
        touched_[made.id] = {whole ? Touch::whole : Touch::missing, made.version};
    } else if (const auto* intend = std::get_if<storage::Intend>(&operation.change)) {
        begun_[{intend->intent.id, intend->intent.attempt}] = intend->intent;
    } else if (const auto* settle = std::get_if<storage::Settle>(&operation.change)) {
        for (const auto attempt : settle->ended_attempts) {
            begun_.erase({settle->id, attempt});
            ended_attempts_.insert({settle->id, attempt});
        }
        for (const auto& notice : settle->notices)
            touched_[notice.envelope.id] = {Touch::whole, notice.envelope.version};
        auto& touched =
            touched_.try_emplace(settle->id, Touched{before_touched(settle->id)}).first->second;
        if (settle->after)
            touched.version = settle->after->version;
        else
            touched.touch = Touch::removed;
    }
}

// What was judged is here, unless it has been asked for.
ListingTarget::Touch ListingTarget::before_touched(QueueId id) const {
    const bool judged = all_judged_ || id <= judged_;
    return judged && !wanted_.contains(id) ? Touch::whole : Touch::unknown;
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
    std::vector<QueueId> lacking;
    std::set<QueueId> listed(page_.unreadable.begin(), page_.unreadable.end());
    for (const auto& entry : page_.entries) {
        listed.insert(entry.id);
        const auto have = known.find(entry.id);
        const auto touched = touched_.find(entry.id);
        if (touched != touched_.end()) {
            auto& touch = touched->second.touch;
            if (touch == Touch::unknown)
                touch = have == known.end() ? Touch::missing : Touch::whole;
            if (touch == Touch::missing) lacking.push_back(entry.id);
        } else if (have == known.end()) {
            lacking.push_back(entry.id);
        } else if (have->second != entry.version) {
            different_.push_back(entry.id);
        }
    }
    for (const auto& [id, version] : known) {
        if (!listed.contains(id) && !page_.damaged) unlisted_.push_back(id);
    }
    judged_ = page_.upto;
    all_judged_ = page_.last;
    if (!ended_) want(std::move(lacking));
}

void ListingTarget::want(std::vector<QueueId> ids) {
    wanted_.insert(ids.begin(), ids.end());
    send_(Want{slice_, std::move(ids)});
}

void ListingTarget::want_missing() {
    all_judged_ = true;
    std::vector<QueueId> missing;
    for (auto& [id, touched] : touched_) {
        if (touched.touch == Touch::missing) missing.push_back(id);
    }
    std::sort(missing.begin(), missing.end());
    want(std::move(missing));
}

void ListingTarget::want_different() {
    const auto begin =
        different_.end() - static_cast<std::ptrdiff_t>(std::min(different_.size(), page_messages));
    std::vector<QueueId> some(begin, different_.end());
    different_.erase(begin, different_.end());
    want(std::move(some));
}

bool ListingTarget::lacks_some() const {
    return std::any_of(touched_.begin(), touched_.end(),
                       [](const auto& entry) { return entry.second.touch == Touch::missing; });
}

// ------------------------------------------------------------------ records

void ListingTarget::on(Body body) {
    apply(storage::Append{body.id, body.index, std::move(body.bytes)});
}

// Operations that came since may know better what the record is: then it is wanted once more.
void ListingTarget::on(Record record) {
    const auto id = record.envelope.id;
    wanted_.erase(id);
    const auto touched = touched_.find(id);
    if (touched != touched_.end()) {
        auto& [touch, version] = touched->second;
        if (touch == Touch::removed) return apply(storage::Forget{id});
        if (touch == Touch::whole) return;
        touch = record.envelope.version < version ? Touch::missing : Touch::whole;
        if (touch == Touch::missing) return;
    }
    apply(storage::Restore{std::move(record.envelope), std::move(record.head), false});
}

// An operation took it, or nobody can read it. Parts of its body may have come.
void ListingTarget::on(const Gone& gone) {
    wanted_.erase(gone.id);
    const auto touched = touched_.find(gone.id);
    if (touched == touched_.end()) return;
    auto& touch = touched->second.touch;
    if (touch == Touch::removed) return apply(storage::Forget{gone.id});
    touch = Touch::whole;
}

void ListingTarget::forget_unlisted() {
    for (const auto id : std::exchange(unlisted_, {})) {
        if (!touched_.contains(id)) apply(storage::Forget{id});
    }
}

// The store refuses the end of a copy that it had no room for.
void ListingTarget::on(ListEnd end) {
    // Another end follows what is wanted here.
    if (lacks_some()) return want_missing();
    if (!different_.empty()) return want_different();
    forget_unlisted();
    auto intents = begun_;
    for (auto& intent : end.intents) {
        const AttemptName name{intent.id, intent.attempt};
        if (!ended_attempts_.contains(name)) intents.emplace(name, std::move(intent));
    }
    storage::EndCopy whole{at_, {}};
    for (auto& [name, intent] : intents) whole.intents.push_back(std::move(intent));
    apply(std::move(whole), [this](Result<void> result) {
        if (!result) return fail(result.error());
        if (lacks_some()) return want_missing();  // the copy has begun anew with that operation
        ended_ = true;
        done_({});
    });
}

}  // namespace posthorse::replication
