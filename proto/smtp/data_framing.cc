#include "proto/smtp/data_framing.h"

#include <algorithm>

namespace posthorse::smtp {

std::size_t DataJudge::line(std::string_view bytes) {
    const auto stretch = ends_.next(bytes);
    faults_.bare_cr |= stretch.bare_cr;
    faults_.bare_lf |= stretch.end == LineEnd::bare_lf;
    line_bytes_ += stretch.length;
    faults_.line_too_long |= line_bytes_max_ != 0 && line_bytes_ > line_bytes_max_;
    if (stretch.end != LineEnd::none) line_bytes_ = 0;
    line_start_ = stretch.end == LineEnd::crlf;
    return stretch.length;
}

void DataJudge::count(std::string_view bytes) {
    bytes_ += bytes.size();
    faults_.too_large |= bytes_max_ != 0 && bytes_ > bytes_max_;
    faults_.nul |= bytes.find('\0') != std::string_view::npos;
    if (!bytes.empty()) after_cr_ = bytes.back() == '\r';
}

void DataJudge::end() {
    faults_.bare_cr |= after_cr_;
}

DataDecoder::Step DataDecoder::next(std::string_view input) {
    if (input.empty()) return {};
    std::size_t dot = 0;
    if (judge_.at_line_start() && input.front() == '.') {
        constexpr std::string_view end_of_data = final_dot;
        const auto head = input.substr(0, end_of_data.size());
        if (head == end_of_data) return {.taken = head.size(), .end = true};
        if (end_of_data.starts_with(head)) return {};
        dot = 1;  // RFC 5321 section 4.5.2: a leading dot with anything behind it is stuffing
        judge_.leave_line_start();
    }
    const auto bytes = input.substr(dot, run_length(input.substr(dot)));
    judge_.count(bytes);
    return {.taken = dot + bytes.size(), .bytes = bytes};
}

// Up to the next line that begins with a dot: there the run breaks, whatever that dot means.
std::size_t DataDecoder::run_length(std::string_view input) {
    std::size_t length = 0;
    while (length < input.size() && !(judge_.at_line_start() && input[length] == '.')) {
        length += judge_.line(input.substr(length));
    }
    return length;
}

std::string_view ChunkDecoder::next(std::string_view input) {
    const auto taken = std::min<std::uint64_t>(open_bytes_, input.size());
    const auto bytes = input.substr(0, static_cast<std::size_t>(taken));
    for (std::size_t length = 0; length < bytes.size();)
        length += judge_.line(bytes.substr(length));
    judge_.count(bytes);
    open_bytes_ -= taken;
    return bytes;
}

std::string_view ChunkDecoder::finish() {
    judge_.end();
    const std::string_view missing = judge_.at_line_start() ? "" : "\r\n";
    judge_.count(missing);
    return missing;
}

void DotStuffer::stuff(std::string_view chunk, std::string& out) {
    std::size_t copied = 0;
    for (std::size_t at = 0; at < chunk.size();) {
        if (state_ == State::line_start && chunk[at] == '.') {
            out.append(chunk.substr(copied, at - copied)).push_back('.');
            copied = at;
        }
        // Only what follows a CR can begin a line, so the rest is skipped at the speed of find().
        if (state_ == State::cr && chunk[at] == '\n') {
            state_ = State::line_start;
            ++at;
            continue;
        }
        const auto cr = chunk.find('\r', at);
        state_ = cr == std::string_view::npos ? State::text : State::cr;
        at = cr == std::string_view::npos ? chunk.size() : cr + 1;
    }
    out.append(chunk.substr(copied));
}

void DotStuffer::finish(std::string& out) {
    if (!at_line_start()) out += "\r\n";
    state_ = State::line_start;
}

}  // namespace posthorse::smtp
