// Keeps messages back until what they say is on the disk.
//
// Place     Pure, inside control_core.h.
// Contract  step() is called after every event with the record as it is now and the messages that
//           depend on it. A message is released by the end of a write that covers the record of its
//           step, in the order of the steps. One write at a time.
#pragma once

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "replication/core/control_message.h"

namespace posthorse::replication {

class WriteGate {
public:
    // `on_disk`: what the disk holds when the gate is made.
    explicit WriteGate(ControlRecord on_disk) : newest_(std::move(on_disk)), written_(newest_) {}

    // Appends to `release` what may leave at once. Returns a record to write, when one is due.
    std::optional<ControlRecord> step(const ControlRecord& record,
                                      std::vector<Outgoing> depending,
                                      std::vector<Outgoing>& release) {
        if (record != newest_) {
            newest_ = record;
            ++newest_step_;
        }
        for (auto& message : depending) {
            if (newest_step_ <= written_step_)
                release.push_back(std::move(message));
            else
                held_.emplace_back(newest_step_, std::move(message));
        }
        return next();
    }

    // The record that was given last is on the disk. Returns the next one to write.
    std::optional<ControlRecord> written(std::vector<Outgoing>& release) {
        written_ = writing_;
        written_step_ = writing_step_;
        under_way_ = false;
        while (!held_.empty() && held_.front().first <= written_step_) {
            release.push_back(std::move(held_.front().second));
            held_.pop_front();
        }
        return next();
    }

    const ControlRecord& on_disk() const noexcept { return written_; }

private:
    std::optional<ControlRecord> next() {
        if (under_way_ || newest_step_ == written_step_) return std::nullopt;
        under_way_ = true;
        writing_ = newest_;
        writing_step_ = newest_step_;
        return writing_;
    }

    ControlRecord newest_;
    ControlRecord writing_;
    ControlRecord written_;
    std::uint64_t newest_step_ = 0;
    std::uint64_t writing_step_ = 0;
    std::uint64_t written_step_ = 0;
    bool under_way_ = false;
    std::deque<std::pair<std::uint64_t, Outgoing>> held_;
};

}  // namespace posthorse::replication
