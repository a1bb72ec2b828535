// The sending half of one stream: frames that wait, batched into one message at a time.
//
// Place     Under both halves of peer_exchange.h, which start the writes and hear of their end.
// Contract  A message is filled when no write is under way; frames that come meanwhile wait, and go
//           together with the next, up to exchange_batch_bytes. A larger frame goes alone.
//           What is on its way counts as backlog until the transport has taken it.
//           `hint`: another write follows at once, so the transport need not send this one's end
//           before. Without it everything is sent.
// Owner     One stream; on home. The message stays as it is while its write is under way.
// Errors    A frame that no message may carry is never left out: what follows it would seem whole.
//           Its stream ends.
#pragma once

#include <deque>
#include <optional>

#include "posthorse/v1/exchange.pb.h"
#include "proto/types/result.h"
#include "replication/core/control_message.h"
#include "replication/core/data_message.h"

namespace posthorse::replication {

struct ExchangeCounters;

class FrameWriter {
public:
    explicit FrameWriter(ExchangeCounters& counters) : counters_(counters) {}

    void push(Frame frame);
    std::size_t backlog() const noexcept { return backlog_; }

    struct Write {
        const v1::ExchangeMessage* message;
        bool hint = false;
    };
    // The first message. Requires that nothing was written.
    Write begin(const Header& header);
    // nullopt: nothing waits, or a write is under way, or there was an error before.
    Result<std::optional<Write>> next();
    // The write ended well. True: backlog() fell below the low-water mark.
    bool written();

private:
    ExchangeCounters& counters_;
    v1::ExchangeMessage message_;
    bool under_way_ = false;
    bool failed_ = false;
    std::size_t message_bytes_ = 0;           // of the write, on the wire
    std::size_t frames_bytes_under_way_ = 0;  // of its frames, as backlog counts
    std::deque<Frame> waiting_;
    std::size_t backlog_ = 0;
};

}  // namespace posthorse::replication
