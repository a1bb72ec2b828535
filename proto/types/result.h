// How an operation ends, in four kinds kept apart: the peer's mistakes are replies (values of their
// own), operating failures and Unknown are an `Error` here, bugs abort (PH_ASSERT).
#pragma once

#include <string>

#include <boost/system/result.hpp>

#include "proto/types/function.h"

namespace posthorse {

enum class Errc {
    unavailable,  // cannot be done now: no lease, shutting down, a peer is away; did not happen
    unknown,      // was sent and may have happened: never report it as a failure (P1)
    fenced,       // the writer's epoch is below one that the store knows; did not happen
    full,         // no room: disk floor, limits; did not happen
    not_found,    // no such message, partition or record
    conflict,     // the thing is in another state than the call requires
    invalid,      // the input is malformed
    corrupt,      // stored bytes cannot be read back
    io,           // the disk failed; the store takes no further writes
    cancelled,    // the caller or a stop ended it before it began
};

const char* to_string(Errc code) noexcept;

// `what` names what, where and what to do; it is for people and logs, never parsed.
struct Error {
    Errc code = Errc::unavailable;
    std::string what;
};

template <class T>
using Result = boost::system::result<T, Error>;

// Called exactly once, on the executor that the callee's contract names.
template <class T = void>
using Completion = UniqueFunction<void(Result<T>)>;

[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location&);

}  // namespace posthorse
