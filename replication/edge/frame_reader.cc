#include "replication/edge/frame_reader.h"

#include "replication/edge/control_codec.h"
#include "replication/edge/data_codec.h"
#include "replication/edge/peer_verdict.h"
#include "replication/edge/pool_state_codec.h"

namespace posthorse::replication {

Result<ExchangeRead> read_message(v1::ExchangeMessage& message,
                                  const std::shared_ptr<const grpc::AuthContext>& peer) {
    ExchangeRead read{.header = {}, .frames = {}, .bytes = message.ByteSizeLong()};
    if (message.has_header()) {
        Faults faults;
        faults.require(message.frames_size() == 0, "header", "must come without frames");
        read.header = header_from(message.header(), faults);
        if (faults.any()) return Error{Errc::invalid, faults.first()};
        read.carries_name = peer != nullptr && carries_name(*peer, read.header->name);
    }
    read.frames.reserve(static_cast<std::size_t>(message.frames_size()));
    for (auto& record : *message.mutable_frames()) {
        auto frame = decode(std::move(record));
        if (!frame) return frame.error();
        read.frames.push_back(*std::move(frame));
    }
    return read;
}

}  // namespace posthorse::replication
