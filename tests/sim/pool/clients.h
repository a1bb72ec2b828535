// Who uses the pool: clients that send, and operators who look and act.
//
// Contract  A client without a 250 sends again, as another message with the same name (RFC 5321
//           section 4.5.4.1); so does one that heard nothing, and one whose 250 was lost on the
//           way.
// Owner     One Simulation.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/pool/pool.h"

namespace posthorse::sim::pool {

class Clients {
public:
    Clients(Pool& pool) : pool_(pool), world_(pool.around().world) {}

    // So many messages, some time within `time` from now.
    void send(int messages, Duration time);
    // An operator does something to some message.
    void operate();
    void resume_all();
    bool all_heard() const { return unheard_ == 0; }
    int unheard() const { return unheard_; }
    void calm_down() { lost_replies_ = 0; }

private:
    Envelope message(int number);
    void try_to_send(int number);
    void heard(int number, bool accepted);

    Pool& pool_;
    World& world_;
    int sent_ = 0;
    int unheard_ = 0;
    std::uint32_t lost_replies_ = 2;  // of a hundred
    std::map<int, Envelope> messages_;
};

}  // namespace posthorse::sim::pool
