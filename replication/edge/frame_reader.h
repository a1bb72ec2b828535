// The receiving half of one stream: what a message of it says.
//
// Place     Under both halves of peer_exchange.h, which call it on gRPC's threads: home gets frames
//           that are decoded.
// Contract  Total. A message is a header alone, or frames; which of them is due, the stream knows.
// Errors    invalid, "field: rule".
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <grpcpp/security/auth_context.h>

#include "posthorse/v1/exchange.pb.h"
#include "proto/types/result.h"
#include "replication/core/control_message.h"
#include "replication/core/data_message.h"

namespace posthorse::replication {

struct ExchangeRead {
    std::optional<Header> header;
    bool carries_name = false;  // the other end's certificate carries the header's name
    std::vector<Frame> frames;
    std::size_t bytes = 0;  // on the wire
};

// Takes the bodies out of the message.
Result<ExchangeRead> read_message(v1::ExchangeMessage& message,
                                  const std::shared_ptr<const grpc::AuthContext>& peer);

}  // namespace posthorse::replication
