#include "proto/smtp/server_body.h"

#include <algorithm>

namespace posthorse::smtp {

ServerBody::ServerBody(const Limits& limits)
    : message_bytes_max_(limits.message_bytes_max),
      line_bytes_max_(limits.text_line_bytes_max),
      data_(message_bytes_max_, line_bytes_max_),
      chunks_(message_bytes_max_, line_bytes_max_) {}

void ServerBody::begin_data() {
    open_ = true;
    way_ = Way::data;
    data_ = DataDecoder(message_bytes_max_, line_bytes_max_);
}

void ServerBody::begin_chunk(const ChunkCommand& chunk) {
    if (!open_) chunks_ = ChunkDecoder(message_bytes_max_, line_bytes_max_);
    open_ = true;
    way_ = Way::chunk;
    chunk_ = chunk;
    chunks_.open(chunk.bytes);
}

void ServerBody::skip_chunk(const ChunkCommand& chunk, Reply refusal) {
    way_ = Way::skip;
    chunk_ = chunk;
    refusal_ = std::move(refusal);
}

ServerBody::Step ServerBody::next(std::string_view input) {
    switch (way_) {
        case Way::data:
            return next_of_data(input);
        case Way::chunk:
            return next_of_chunk(input);
        case Way::skip:
            break;
    }
    return skip(input);
}

ServerBody::Step ServerBody::next_of_data(std::string_view input) {
    const auto found = data_.next(input);
    Step step{.taken = found.taken, .end = found.end ? End::message : End::none};
    if (!data_.faults().any()) step.bytes = found.bytes;
    return step;
}

ServerBody::Step ServerBody::next_of_chunk(std::string_view input) {
    const auto bytes = chunks_.next(input);
    Step step{.taken = bytes.size()};
    if (!chunks_.faults().any()) step.bytes = bytes;
    if (!chunks_.chunk_complete()) return step;
    step.end = chunk_.last ? End::message : End::chunk;
    const auto missing = chunk_.last ? chunks_.finish() : std::string_view();
    if (!chunks_.faults().any()) step.line_end = missing;
    return step;
}

ServerBody::Step ServerBody::skip(std::string_view input) {
    const auto taken = std::min<std::uint64_t>(chunk_.bytes, input.size());
    chunk_.bytes -= taken;
    return {.taken = static_cast<std::size_t>(taken),
            .end = chunk_.bytes == 0 ? End::skipped : End::none};
}

std::optional<Reply> ServerBody::refusal() const {
    switch (way_) {
        case Way::data:
            return refusal_of(data_.faults());
        case Way::chunk:
            return refusal_of(chunks_.faults());
        case Way::skip:
            break;
    }
    return refusal_;
}

}  // namespace posthorse::smtp
