// What an owner and the other holders of its partitions say to each other: frames, as values.
//
// Place     Made and taken by the parts around replicated_queue.h; peer_streams.h carries them;
//           edge/data_codec.h is their form on the wire (posthorse/v1/exchange.proto).
// Contract  Frames of one stream arrive in order, or the stream ends. Every frame names its
//           partition and the epoch under which it was sent; an answer repeats both.
//
//             owner -> holder   Open, Follow, Operate; Pull, Fetch; Ask
//             holder -> owner   Standing, Refused, Ack; Tell
//             a copy is brought up, from whoever has more to whoever has less:
//               source -> target   Page, Body, Record, Gone, ListEnd
//               target -> source   Want
//
//           Open    "I own it." Standing answers with how far the holder's copy is, all of it
//                   synced.
//           Follow  "What I send from here on begins at `next`." With `listing`: "and all before
//                   it comes as a listing."
//           Operate One change. Acks are cumulative, and come soon for what somebody waits for;
//                   there are none until a listing is whole.
//           Page    The ids of a range, in order, with their versions. The target answers each with
//                   Want: what it lacks of it. The source answers each id wanted with its Bodies
//                   and Record, or with Gone. `last`: the range goes to the end; the Want after it
//                   may name ids of earlier ranges too, and ListEnd follows what it wanted. The
//                   target may want more then, and later: another ListEnd follows that.
//           Pull    "You have more than I: list it to me." Fetch: "these alone."
//           Ask     To the node that made attempts whose end nobody else knows. Tell answers.
#pragma once

#include <variant>
#include <vector>

#include "storage/queue_store.h"

namespace posthorse::replication {

struct Slice {
    PartitionId partition;
    Epoch epoch;
    auto operator<=>(const Slice&) const = default;
};

// --- owner to holder
struct Open {
    Slice slice;
    bool operator==(const Open&) const = default;
};
struct Follow {
    Slice slice;
    Sequence next;
    bool listing = false;
    bool operator==(const Follow&) const = default;
};
struct Operate {  // its stamp holds the slice
    storage::Operation operation;
};
struct Pull {
    Slice slice;
    bool operator==(const Pull&) const = default;
};
struct Fetch {
    Slice slice;
    std::vector<QueueId> ids;
    bool operator==(const Fetch&) const = default;
};
struct AttemptName {
    QueueId id;
    std::uint32_t attempt = 0;
    auto operator<=>(const AttemptName&) const = default;
};
struct Ask {
    Slice slice;
    std::vector<AttemptName> attempts;
    bool operator==(const Ask&) const = default;
};

// --- holder to owner
struct Standing {
    Slice slice;
    storage::Position at;
    bool operator==(const Standing&) const = default;
};
enum class HolderRefusal : std::uint8_t {
    not_yet,  // the holder's pool value does not say so yet: ask again
    fenced,   // it knows a later epoch, or another owner
    failed,   // its disk failed or is full
    gap,      // something is missing before what came: Open again, it needs a listing
};
struct Refused {
    Slice slice;
    HolderRefusal why = HolderRefusal::not_yet;
    bool operator==(const Refused&) const = default;
};
// Everything up to `received` is in the holder's log, up to `durable` synced.
struct Ack {
    Slice slice;
    Sequence received;
    Sequence durable;
    bool operator==(const Ack&) const = default;
};
// How an attempt ended, from the node that made it.
struct ToldAttempt {
    AttemptName attempt;
    bool known = false;  // false: it does not know either
    std::vector<RecipientOutcome> outcomes;
};
struct Tell {
    Slice slice;
    std::vector<ToldAttempt> attempts;
};

// --- a copy is brought up
struct Entry {
    QueueId id;
    std::uint64_t version = 0;  // storage::digest(): of the record, whatever is in it
    bool operator==(const Entry&) const = default;
};
struct Page {
    Slice slice;
    QueueId after;  // the range is (after, upto]; with `last` it is (after, end)
    QueueId upto;
    bool last = false;
    // The source cannot read some of what it has in the range: nothing that the target has there
    // is dropped. Those ids are in `unreadable`: the target may have them.
    bool damaged = false;
    std::vector<Entry> entries;
    std::vector<QueueId> unreadable;
    bool operator==(const Page&) const = default;
};
struct Want {
    Slice slice;
    std::vector<QueueId> ids;
    bool operator==(const Want&) const = default;
};
struct Body {  // chunk 1 and up, before the Record
    Slice slice;
    QueueId id;
    std::uint32_t index = 1;
    Chunk bytes;
};
struct Record {
    Slice slice;
    Envelope envelope;
    Chunk head;
};
struct Gone {  // wanted, and not there any more
    Slice slice;
    QueueId id;
    bool operator==(const Gone&) const = default;
};
struct ListEnd {
    Slice slice;
    std::vector<Intent> intents;  // all that have no outcome
    bool operator==(const ListEnd&) const = default;
};

using Frame = std::variant<Open,
                           Follow,
                           Operate,
                           Pull,
                           Fetch,
                           Ask,
                           Standing,
                           Refused,
                           Ack,
                           Tell,
                           Page,
                           Want,
                           Body,
                           Record,
                           Gone,
                           ListEnd>;

// Of the frame: an Operate's is in its stamp.
Slice slice_of(const Frame& frame);
// About how many octets it takes on the way.
std::size_t size_of(const Frame& frame);

}  // namespace posthorse::replication
