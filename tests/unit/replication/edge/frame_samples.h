// One of every frame between holders, with no field left at what it is by default.
#pragma once

#include <vector>

#include "replication/core/data_message.h"

namespace posthorse::tests {

replication::Slice slice();
QueueId message_id(std::uint32_t number);  // of the slice's partition; greater for a greater one
Envelope envelope();
// Operate once for each change that an owner stamps.
std::vector<replication::Frame> every_frame();

// Small ones, told apart by a number; and a large one.
replication::Frame ack(std::uint64_t number);
std::uint64_t number_of(const replication::Frame& frame);
replication::Frame body(const Chunk& bytes, std::uint32_t index = 1);

}  // namespace posthorse::tests
