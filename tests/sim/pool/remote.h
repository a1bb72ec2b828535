// The mail servers of the others: one for each destination, each in its own mood.
//
// Contract  A recipient whose address begins with "bad" is refused for good. A server that took a
//           message may lose its reply.
// Owner     One Simulation.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "tests/sim/world.h"

namespace posthorse::sim::pool {

enum class Mood : std::uint8_t {
    well,
    slow,       // to say what it thinks of a message
    deferring,  // 450 to everybody
    vanishing,  // goes away before the message is whole
    unreachable,
};
inline constexpr std::uint64_t moods = 5;

struct Answer {
    int code = 0;
    std::string text;
};

class Remote {
public:
    explicit Remote(World& world) : world_(world) {}

    Mood mood(const std::string& destination) const {
        if (all_) return *all_;
        const auto found = moods_.find(destination);
        return found == moods_.end() ? Mood::well : found->second;
    }
    void set_mood(const std::string& destination, Mood mood) { moods_[destination] = mood; }
    void set_all(std::optional<Mood> mood) { all_ = mood; }
    void heal() {
        moods_.clear();
        all_.reset();
        lost_replies_ = 0;
    }
    bool loses_this_reply() { return world_.chance(lost_replies_); }
    // Until it has decided what becomes of a message.
    Duration takes(const std::string& destination) {
        using namespace std::chrono_literals;
        return mood(destination) == Mood::slow ? world_.between(500ms, 3s)
                                               : world_.between(1ms, 200ms);
    }

    Answer answer(const std::string& destination, const std::string& address) const {
        if (address.starts_with("bad")) return {550, "no such user"};
        if (mood(destination) == Mood::deferring) return {450, "not now"};
        return {250, "taken"};
    }

private:
    World& world_;
    std::map<std::string, Mood> moods_;
    std::optional<Mood> all_;
    std::uint32_t lost_replies_ = 4;  // of a hundred
};

}  // namespace posthorse::sim::pool
