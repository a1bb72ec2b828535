// Brings up another node's copy of a partition from this store: lists it, sends what is wanted.
//
// Place     At the owner for holders that are behind, and at a holder whose new owner is behind
//           (Pull) or misses some records (Fetch). listing_target.h is the other end.
// Contract  One page or one record under way at a time, and only while `room()` says so: go_on()
//           when it does again. Operations may flow beside it on the same stream. A record that
//           cannot be read is named as such in its page, and answered with Gone.
//           After ListEnd more may be wanted, and another ListEnd follows that.
//           What was submitted to the store before a listing begins, or before something is
//           wanted, is read: its reads may overtake its writes, so that they are waited for.
// Owner     OwnedPartition or HeldPartitions, on home.
// Errors    A store that cannot list: `failed` is called, once, and nothing follows.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "replication/core/data_message.h"
#include "replication/pace.h"
#include "storage/queue_store.h"

namespace posthorse::replication {

class ListingSource : public std::enable_shared_from_this<ListingSource> {
public:
    struct Ports {
        storage::QueueStore& store;
        Pace& pace;
        std::function<void(Frame)> send;
        std::function<bool()> room;
        std::function<void(Error)> failed;
    };

    ListingSource(Slice slice, Ports ports);

    void list();                           // everything, page by page
    void fetch(std::vector<QueueId> ids);  // these alone
    void on(const Want& want);
    void go_on();  // there may be room again
    void end() { ended_ = true; }
    const Slice& slice() const noexcept { return slice_; }
    std::uint64_t sent_messages() const noexcept { return sent_messages_; }

private:
    enum class Next : std::uint8_t { nothing, page, records, end };

    template <class Call>
    auto here(Call call);
    void fetch_next();
    void when_written(UniqueFunction<void()> then);
    bool may_go_on();
    void next_page();
    void paged(const std::vector<Envelope>& found, const std::vector<QueueId>& damaged);
    void next_record();
    void next_chunk();
    void send_record(Chunk head);
    void skip_record();
    void finish();
    void fail(const Error& error);
    void send(Frame frame);

    const Slice slice_;
    const Ports ports_;
    Next next_ = Next::nothing;
    bool busy_ = false;
    bool ended_ = false;
    bool listing_ = false;
    bool last_page_ = false;
    QueueId after_;
    std::deque<QueueId> wanted_;
    std::deque<QueueId> fetched_later_;  // asked for while others were being sent
    std::optional<Envelope> record_;     // being sent
    std::uint32_t chunk_ = 0;
    std::uint64_t sent_messages_ = 0;
};

}  // namespace posthorse::replication
