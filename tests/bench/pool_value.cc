// pool_value [COPIES]: what the agreed value of a pool costs, by its number of members: octets on
// the wire and on the disk, and processor time to write, to read and check, to compare, and to ask
// the placement what it lacks. For docs/scale.md.
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "replication/core/placement.h"
#include "replication/edge/control_codec.h"

using namespace posthorse;
using namespace posthorse::replication;

namespace {

constexpr std::clock_t measured_for = CLOCKS_PER_SEC / 5;

NodeId node_of(std::size_t number) {
    NodeId id;  // spread like random ones
    for (std::size_t at = 0; at < id.bytes.size(); ++at)
        id.bytes[at] = static_cast<std::uint8_t>((number + 1) * (2 * at + 101) >> (at % 3));
    id.bytes[0] = static_cast<std::uint8_t>(number);
    return id;
}

// Everybody lives; no partition yet.
PoolState founded(std::size_t members, std::uint32_t copies) {
    PoolState state;
    state.pool_id = "5c0f7a4e19d2b3865c0f7a4e19d2b386";
    state.version = {100'000};
    state.settings.copies = copies;
    for (std::size_t number = 0; number < members; ++number) {
        const auto name = "node-" + std::to_string(number) + ".mail.example.org";
        const Facts facts{.name = name,
                          .address = name + ":9626",
                          .zone = "zone-a",
                          .release = "0.1.0",
                          .features = 1};
        const Start start{node_of(number), {10, 0x123456789abcdef0u + number}, facts};
        state = changed(std::move(state), start).value();
        state.members[0].acknowledged = {{10}, {99'999}};
    }
    for (auto& member : state.members) member.acknowledged = {{10}, {99'999}};
    return state;
}

PoolState placed(PoolState state) {
    for (const auto& change : tend(state, {})) state = changed(std::move(state), change).value();
    return state;
}

// Processor time of a call, in us.
template <class Call>
double cost_us(Call call) {
    const auto began = std::clock();
    std::uint64_t calls = 0;
    do {
        call();
        calls += 1;
    } while (std::clock() - began < measured_for);
    return 1e6 * static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC /
           static_cast<double>(calls);
}

void measure(std::size_t members, std::uint32_t copies) {
    const auto empty = founded(members, copies);
    const auto state = placed(empty);
    const auto other = state;
    const Header header{state.pool_id,
                        1,
                        node_of(0),
                        {1, 2},
                        "node-0.mail.example.org",
                        "node-0.mail.example.org:9626",
                        node_of(1)};
    const Configuration voters{{state.members[0].id, state.members[1].id, state.members[2].id}};
    const Published published{
        {10}, {100'000}, std::make_shared<const PoolState>(state), voters, voters};
    Heartbeat heartbeat{
        .term = {10}, .round = 1'000'000, .committed = {{10}, {100'000}}, .joined = true};
    for (const auto& member : state.members)
        heartbeat.leases.emplace_back(member.id, std::chrono::milliseconds{9000});
    const auto octets = encode_message(header, published);
    const auto beat = encode_message(header, heartbeat);
    bool same = true;
    const double encode_us = cost_us([&] { same &= !encode_message(header, published).empty(); });
    const double decode_us = cost_us([&] { same &= decode_message(octets).has_value(); });
    const double copy_us = cost_us([&] { same &= PoolState(state) == other; });
    const double tend_us = cost_us([&] { same &= tend(state, {}).empty(); });
    const double found_us = cost_us([&] { same &= !tend(empty, {}).empty(); });
    const double beat_us = cost_us([&] { same &= decode_message(beat).has_value(); });
    std::printf("%7zu %10zu %12zu %9.0f %9.0f %9.0f %9.0f %11.1f %10zu %9.1f%s\n", members,
                state.partitions.size(), octets.size(), encode_us, decode_us, copy_us, tend_us,
                found_us / 1000, beat.size(), beat_us, same ? "" : "  WRONG");
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const auto copies = argc > 1 ? static_cast<std::uint32_t>(std::strtoul(argv[1], nullptr, 10))
                                 : std::uint32_t{2};
    std::printf("copies %u\n%7s %10s %12s %9s %9s %9s %9s %11s %10s %9s\n", copies, "members",
                "partitions", "value_octets", "encode_us", "decode_us", "copy_us", "tend_us",
                "first_ms", "beat_octets", "beat_us");
    for (const std::size_t members : {3u, 10u, 30u, 100u, 200u, 256u}) measure(members, copies);
    return EXIT_SUCCESS;
}
