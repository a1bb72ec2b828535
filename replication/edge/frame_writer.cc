#include "replication/edge/frame_writer.h"

#include <utility>

#include "proto/types/assert.h"
#include "replication/edge/control_codec.h"
#include "replication/edge/data_codec.h"
#include "replication/edge/exchange_ports.h"

namespace posthorse::replication {

void FrameWriter::push(Frame frame) {
    backlog_ += size_of(frame);
    waiting_.push_back(std::move(frame));
}

FrameWriter::Write FrameWriter::begin(const Header& header) {
    PH_ASSERT(!under_way_);
    put(header, *message_.mutable_header());
    under_way_ = true;
    message_bytes_ = message_.ByteSizeLong();
    return {&message_};
}

Result<std::optional<FrameWriter::Write>> FrameWriter::next() {
    if (under_way_ || failed_ || waiting_.empty()) return std::optional<Write>();
    message_.Clear();
    std::size_t bytes = 0;
    while (!waiting_.empty()) {
        const auto size = size_of(waiting_.front());
        if (bytes > 0 && bytes + size > exchange_batch_bytes) break;
        encode(waiting_.front(), *message_.add_frames());
        waiting_.pop_front();
        bytes += size;
    }
    message_bytes_ = message_.ByteSizeLong();
    if (message_bytes_ > static_cast<std::size_t>(exchange_message_bytes_max)) {
        failed_ = true;
        return Error{Errc::invalid, "a frame of " + std::to_string(message_bytes_) +
                                        " octets is more than a peer takes"};
    }
    under_way_ = true;
    frames_bytes_under_way_ = bytes;
    return std::optional<Write>({&message_, !waiting_.empty()});
}

bool FrameWriter::written() {
    PH_ASSERT(under_way_);
    under_way_ = false;
    counters_.octets_sent += message_bytes_;
    counters_.frames_sent += static_cast<std::uint64_t>(message_.frames_size());
    const auto before =
        std::exchange(backlog_, backlog_ - std::exchange(frames_bytes_under_way_, 0));
    return before >= backlog_low_bytes && backlog_ < backlog_low_bytes;
}

}  // namespace posthorse::replication
