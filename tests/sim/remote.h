// The mail servers of the others: one for each destination, each in its own mood.
//
// Contract  A recipient whose address begins with "bad" is refused for good. A server that took a
//           message may lose its reply.
// Owner     One Simulation.
#pragma once

#include <map>
#include <string>

#include "tests/sim/world.h"

namespace posthorse::sim {

enum class Mood : std::uint8_t { well, deferring, unreachable };

struct Answer {
    int code = 0;
    std::string text;
};

class Remote {
public:
    explicit Remote(World& world) : world_(world) {}

    Mood mood(const std::string& destination) const {
        const auto found = moods_.find(destination);
        return found == moods_.end() ? Mood::well : found->second;
    }
    void set_mood(const std::string& destination, Mood mood) { moods_[destination] = mood; }
    void heal() {
        moods_.clear();
        loses_replies_ = false;
    }
    bool loses_this_reply() { return loses_replies_ && world_.chance(5); }

    Answer answer(const std::string& destination, const std::string& address) const {
        if (address.starts_with("bad")) return {550, "no such user"};
        if (mood(destination) == Mood::deferring) return {450, "not now"};
        return {250, "taken"};
    }

private:
    World& world_;
    std::map<std::string, Mood> moods_;
    bool loses_replies_ = true;
};

}  // namespace posthorse::sim
