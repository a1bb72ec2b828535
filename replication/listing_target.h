// Makes this store's copy of a partition whole by another node's listing.
//
// Place     At a holder that was behind, while operations flow too, and at a new owner that found a
//           holder further than itself. listing_source.h is the other end.
// Contract  What operations touched since the listing began is never judged by it: it is newer.
//           What the listing does not hold goes, but in a range where the source cannot read
//           everything. What differs, or is not here, is wanted and restored, record and body
//           together: with the newest record that operations told of meanwhile. A message whose
//           body began to arrive before the listing did is wanted at the end.
//           `done` is called once, when EndCopy is durable and nothing is missing.
// Owner     HeldPartitions or TakeUp, on home. Frames in the order of the stream; an operation is
//           shown to operated() when it is handed to the store.
// Errors    Of the store: to `done`; the copy stays marked as not whole.
// Bounds    Ids that operations touched while the listing lasts, and what is wanted at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "replication/core/data_message.h"
#include "storage/queue_store.h"

namespace posthorse::replication {

class ListingTarget : public std::enable_shared_from_this<ListingTarget> {
public:
    // `at`: where the copy stands once the listing is whole, if no operation brings it further.
    ListingTarget(Slice slice,
                  storage::Position at,
                  storage::QueueStore& store,
                  std::function<void(Frame)> send,
                  Completion<> done);

    // The copy counts for what it was before, from here to the end.
    void begin();
    void on(const Page& page);
    void on(Body body);
    void on(Record record);
    void on(const Gone& gone);
    void on(ListEnd end);
    // `whole`: for a commit, all of its chunks have come.
    void operated(const storage::Operation& operation, bool whole);
    // Asks for the messages that operations committed, and whose bodies are not here.
    void want_bodies();
    void end() { ended_ = true; }

private:
    enum class Touch : std::uint8_t {
        whole,    // it came by an operation, with its body
        changed,  // its record is the newest, if it was here at all
        removed,
    };

    template <class Call>
    auto here(Call call);
    void apply(decltype(storage::Operation::change) change, Completion<> done);
    void apply(decltype(storage::Operation::change) change);
    void read_local(QueueId after, std::shared_ptr<std::map<QueueId, std::uint64_t>> known);
    void judge(const std::map<QueueId, std::uint64_t>& known);
    void want(std::set<QueueId> ids);
    void fail(const Error& error);
    bool in_range(QueueId id) const;

    const Slice slice_;
    const storage::Position at_;
    storage::QueueStore& store_;
    const std::function<void(Frame)> send_;
    Completion<> done_;
    bool ended_ = false;
    Page page_;  // that is being judged
    std::unordered_map<QueueId, Touch> touched_;
    std::set<QueueId> lacking_;  // committed since, without all of the body
    // Wanted: with its newest record that operations told of since.
    std::map<QueueId, std::optional<Envelope>> awaited_;
    std::map<AttemptName, Intent> begun_;  // intents of operations since
    std::set<AttemptName> ended_attempts_;
};

}  // namespace posthorse::replication
