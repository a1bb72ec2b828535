// Message data on the wire: DATA in both directions (RFC 5321 sections 4.1.1.4 and 4.5.2), BDAT as
// a server takes it (RFC 3030).
//
// Place     The decoders under server_body; DotStuffer under daemon/deliver's body writer.
// Contract  The data of DATA end at CR LF "." CR LF and at nothing that merely resembles it; those
//           of BDAT by count. Line ends are judged by line_splitter.h for both. What DotStuffer
//           wrote, DataDecoder reads back byte for byte.
//           Mail goes out by DATA only (docs/adr/0019-chunks-come-in-lines-go-out.md).
// Bounds    Constant memory; no byte is copied by the decoders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/smtp/line_splitter.h"

namespace posthorse::smtp {

// What was wrong with the data that passed. The decoder goes on after each of them, so that the
// client can be answered in its place.
struct DataFaults {
    bool bare_cr = false;
    bool bare_lf = false;
    bool nul = false;
    bool too_large = false;
    bool line_too_long = false;
    bool any() const { return bare_cr || bare_lf || nul || too_large || line_too_long; }
};

// Counts and judges message bytes as they pass, piece by piece.
class DataJudge {
public:
    // 0: no bound. `line_bytes_max` counts the CR LF.
    DataJudge(std::uint64_t bytes_max, std::size_t line_bytes_max)
        : bytes_max_(bytes_max), line_bytes_max_(line_bytes_max) {}

    // Judges the line, or the piece of one, at the front of `bytes`; returns its length.
    std::size_t line(std::string_view bytes);
    // Counts a run of bytes whose lines were judged.
    void count(std::string_view bytes);
    // No more will come: a CR at the end is a bare one.
    void end();

    bool at_line_start() const noexcept { return line_start_; }
    void leave_line_start() noexcept { line_start_ = false; }  // by what is no message byte
    const DataFaults& faults() const noexcept { return faults_; }
    std::uint64_t bytes() const noexcept { return bytes_; }

private:
    std::uint64_t bytes_max_;
    std::size_t line_bytes_max_;
    std::uint64_t bytes_ = 0;
    std::uint64_t line_bytes_ = 0;
    bool line_start_ = true;
    bool after_cr_ = false;
    LineEndScanner ends_;
    DataFaults faults_;
};

// Takes the stuffing out.
class DataDecoder {
public:
    struct Step {
        std::size_t taken = 0;   // bytes of the input that are done with
        std::string_view bytes;  // message bytes, a view into the input; may be empty
        bool end = false;        // the end of data was taken; what follows is the next command
    };

    // 0: no bound. `line_bytes_max` counts the CR LF.
    explicit DataDecoder(std::uint64_t bytes_max, std::size_t line_bytes_max = 0)
        : judge_(bytes_max, line_bytes_max) {}

    // The longest run of message bytes at the front of `input`. `taken` 0: a line that begins with
    // a dot is not decidable yet (at most two bytes stay with the caller); feed more behind them.
    // Must not be called after `end`.
    Step next(std::string_view input);

    const DataFaults& faults() const noexcept { return judge_.faults(); }
    std::uint64_t bytes() const noexcept { return judge_.bytes(); }  // of the message so far

private:
    std::size_t run_length(std::string_view input);

    DataJudge judge_;
};

// The chunks of one message, one after the other.
class ChunkDecoder {
public:
    explicit ChunkDecoder(std::uint64_t bytes_max, std::size_t line_bytes_max = 0)
        : judge_(bytes_max, line_bytes_max) {}

    void open(std::uint64_t chunk_bytes) { open_bytes_ = chunk_bytes; }
    // Message bytes at the front of `input`: as many of the open chunk as are there.
    std::string_view next(std::string_view input);
    bool chunk_complete() const noexcept { return open_bytes_ == 0; }
    // The last chunk is complete. Returns the CR LF that the message lacks at its end: signatures
    // and the way out want lines.
    std::string_view finish();

    const DataFaults& faults() const noexcept { return judge_.faults(); }

private:
    std::uint64_t open_bytes_ = 0;
    DataJudge judge_;
};

// Puts the stuffing in.
class DotStuffer {
public:
    // Appends `chunk`, stuffed, to `out`. Chunks may be cut anywhere.
    void stuff(std::string_view chunk, std::string& out);
    // Appends the CR LF that the message lacks at its end, if it does; then the final dot may
    // follow.
    void finish(std::string& out);
    // What was stuffed so far is empty or ends in CR LF.
    bool at_line_start() const noexcept { return state_ == State::line_start; }

private:
    enum class State : std::uint8_t { line_start, text, cr };
    State state_ = State::line_start;
};

// Ends the data after finish().
inline constexpr std::string_view final_dot = ".\r\n";

}  // namespace posthorse::smtp
