// Makes this store's copy of a partition whole by another node's listing.
//
// Place     At a holder that was behind, while operations flow too, and at a new owner that found a
//           holder further than itself. listing_source.h is the other end.
// Contract  What operations touched since the listing began is never judged by it: it is newer.
//           What the listing does not hold goes, but in a range where the source cannot read
//           everything. What differs is wanted and replaced. Operations alone make no message that
//           was not here before: one that they changed, or committed without its body, is wanted
//           again when what came of it is older than they were.
//           First comes what is not here, then what differs, and what is not listed goes last: so
//           a notice is here before what caused it says so or is gone, and whatever has a record
//           here has its body here, even when the listing breaks off.
//           `done` is called once, when EndCopy is durable and nothing is missing.
// Owner     HeldPartitions or TakeUp, on home. Frames in the order of the stream; an operation is
//           shown to operated() when it is handed to the store.
// Errors    Of the store: to `done`; the copy stays marked as not whole.
// Bounds    Ids that operations touched while the listing lasts, and those that differ or go.
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
    // `whole`: for a commit, all of its chunks have come. Else it must not reach the store.
    void operated(const storage::Operation& operation, bool whole);
    // Asks for what is missing still, without a listing.
    void want_missing();
    void end() { ended_ = true; }

private:
    enum class Touch : std::uint8_t {
        whole,    // it is here, with its body
        unknown,  // it is here only if it was before
        missing,
        removed,
    };
    struct Touched {
        Touch touch = Touch::unknown;
        std::uint64_t version = 0;  // that operations brought
    };

    template <class Call>
    auto here(Call call);
    void apply(decltype(storage::Operation::change) change, Completion<> done);
    void apply(decltype(storage::Operation::change) change);
    void want(std::vector<QueueId> ids);
    void want_different();
    void read_local(QueueId after, std::shared_ptr<std::map<QueueId, std::uint64_t>> known);
    void judge(const std::map<QueueId, std::uint64_t>& known);
    void fail(const Error& error);
    bool in_range(QueueId id) const;
    Touch before_touched(QueueId id) const;
    bool lacks_some() const;
    void forget_unlisted();

    const Slice slice_;
    const storage::Position at_;
    storage::QueueStore& store_;
    const std::function<void(Frame)> send_;
    Completion<> done_;
    bool ended_ = false;
    Page page_;  // that is being judged
    QueueId judged_;
    bool all_judged_ = false;
    std::set<QueueId> wanted_;        // and not answered yet
    std::vector<QueueId> different_;  // here and there, to be wanted when all else is here
    std::vector<QueueId> unlisted_;   // to be forgotten in the end
    std::unordered_map<QueueId, Touched> touched_;
    std::map<AttemptName, Intent> begun_;  // intents of operations since
    std::set<AttemptName> ended_attempts_;
};

}  // namespace posthorse::replication
