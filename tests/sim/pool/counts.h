// What happened in a run, in numbers: for people, and for proofs that want the rare to have
// happened.
#pragma once

#include <cstdint>
#include <string>

namespace posthorse::sim::pool {

struct Counts {
    std::uint64_t accepted = 0;
    std::uint64_t delivered = 0;
    std::uint64_t bounced = 0;
    std::uint64_t removed = 0;
    std::uint64_t refused = 0;       // commits that clients heard a refusal of
    std::uint64_t undecided = 0;     // commits that nobody knows the end of
    std::uint64_t resent = 0;        // by clients that got no 250
    std::uint64_t unasked = 0;       // delivered, though no client heard 250
    std::uint64_t duplicates = 0;    // recipients that got a message again
    std::uint64_t dup_lost = 0;      // of those: the remote's reply was lost
    std::uint64_t dup_in_doubt = 0;  // of those: counted before
    std::uint64_t dup_power = 0;     // of those: the power took the record
    std::uint64_t dup_alone = 0;     // of those: it could be told to nobody
    std::uint64_t alone = 0;         // attempts that could be told to nobody
    std::uint64_t dup_client = 0;    // the client's 250 was lost, and it sent again
    std::uint64_t in_doubt = 0;      // attempts found so
    std::uint64_t told = 0;          // attempts whose end the old owner told
    std::uint64_t late = 0;          // attempts that ended at a node that did not own them any more
    std::uint64_t no_dot = 0;        // attempts that were not allowed their dot
    std::uint64_t takeovers = 0;
    std::uint64_t widened = 0;
    std::uint64_t narrowed = 0;
    std::uint64_t listings = 0;  // copies that were made whole
    std::uint64_t pulls = 0;     // by new owners that were behind
    std::uint64_t kills = 0;
    std::uint64_t powers = 0;
    std::uint64_t pauses = 0;
    std::uint64_t cuts = 0;
    std::uint64_t failed_syncs = 0;
    std::uint64_t full_disks = 0;
    std::uint64_t damaged = 0;
    std::uint64_t mended = 0;
    std::uint64_t new_disks = 0;
    std::uint64_t old_disks = 0;
    std::uint64_t strangers = 0;
    std::uint64_t rolled_back = 0;
    std::uint64_t leaves = 0;
    std::uint64_t compared = 0;  // copies that were found equal

    void add(const Counts& other);
    std::string to_string() const;
};

}  // namespace posthorse::sim::pool
