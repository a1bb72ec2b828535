// The value of a pool and its changes as posthorse/v1/pool_state.proto, and back.
//
// Place     Under control_codec.h, which nobody but tests goes around.
// Contract  put() writes all of a value. The decoders are total: whatever the message holds, they
//           return a value, and what breaks a bound or a rule of pool_state.h goes to `Faults`; a
//           value that was decoded with a fault is not used. So no peer and no damaged file can
//           bring in a value on which a core would abort.
// Bounds    The constants below; a message of a million octets is cut off by the transport.
#pragma once

#include <string>
#include <string_view>

#include <google/protobuf/repeated_ptr_field.h>

#include "posthorse/v1/pool_state.pb.h"
#include "proto/types/time.h"
#include "replication/core/coordination_fsm.h"
#include "replication/core/pool_state.h"

namespace posthorse::replication {

namespace codec {
inline constexpr int members_max = static_cast<int>(replication::members_max);
inline constexpr int partitions_max = static_cast<int>(replication::partitions_max);
inline constexpr int addresses_max = 128;  // known candidates in one message
inline constexpr std::uint32_t copies_max = 64;
inline constexpr std::size_t text_bytes_max = 255;  // a name, zone or release
inline constexpr std::size_t pool_id_bytes_max = 64;
inline constexpr std::size_t address_bytes_max = 300;  // "host:port"
inline constexpr std::size_t reason_bytes_max = 1000;
inline constexpr Duration lease_max = std::chrono::hours{24};
inline constexpr Duration clock_max = std::chrono::hours{24 * 366 * 100};
}  // namespace codec

// The first thing that is wrong, as "field: rule".
class Faults {
public:
    void add(std::string_view field, std::string_view rule);
    void require(bool kept, std::string_view field, std::string_view rule) {
        if (!kept) add(field, rule);
    }
    bool any() const noexcept { return !first_.empty(); }
    const std::string& first() const noexcept { return first_; }

private:
    std::string first_;
};

// --- parts
std::string node_octets(const NodeId& id);
NodeId node_from(const std::string& octets, std::string_view field, Faults& faults);
std::optional<NodeId> optional_node_from(const std::string& octets,
                                         std::string_view field,
                                         Faults& faults);
std::string text_from(const std::string& text,
                      std::size_t bytes_max,
                      std::string_view field,
                      Faults& faults);
// "host:port" of letters, digits and ".-_:[]%": nothing that means something else to a resolver.
std::string address_from(const std::string& text, std::string_view field, Faults& faults);
Duration duration_from(std::int64_t milliseconds,
                       Duration least,
                       Duration most,
                       std::string_view field,
                       Faults& faults);

void put(const Incarnation& incarnation, v1::IncarnationRecord& to);
Incarnation incarnation_from(const v1::IncarnationRecord& record);
void put(const Place& place, v1::PlaceRecord& to);
Place place_from(const v1::PlaceRecord& record);
void put(const Facts& facts, v1::FactsRecord& to);
Facts facts_from(const v1::FactsRecord& record, Faults& faults);

// --- the value
void put(const PoolState& state, v1::PoolStateRecord& to);
PoolState pool_state_from(const v1::PoolStateRecord& record, Faults& faults);
void put(const Configuration& configuration, v1::ConfigurationRecord& to);
void put(const Published& published, v1::PublishedRecord& to);
// Without a value when there is none yet. Where etcd decides what comes after a value nobody votes;
// only a node's own record may say so, for who votes must be known where values are voted on.
enum class Voters : std::uint8_t { required, unless_on_etcd };
Published published_from(const v1::PublishedRecord& record,
                         Faults& faults,
                         Voters voters = Voters::required);

// --- changes
void put(const Change& change, v1::ChangeRecord& to);
Change change_from(const v1::ChangeRecord& record, Faults& faults);

}  // namespace posthorse::replication
