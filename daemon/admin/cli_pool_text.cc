#include "daemon/admin/cli_pool_text.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "daemon/admin/cli_text.h"
#include "proto/types/time.h"

namespace posthorse::admin {
namespace {

using Names = std::map<std::string, std::string>;  // by id

std::string short_id(const std::string& id) {
    return id.substr(0, 8);
}

std::string or_dash(const std::string& text) {
    return text.empty() ? "-" : text;
}

// Nodes without a name, and of no pool any more, have their id.
Names names_in(const v1::GetPoolResponse& pool) {
    Names names;
    for (const auto& member : pool.members()) {
        if (!member.name().empty()) names[member.id()] = member.name();
    }
    return names;
}

std::string name_of(const Names& names, const std::string& id) {
    const auto found = names.find(id);
    return found == names.end() ? short_id(id) : found->second;
}

std::string name_list(const Names& names, const auto& ids) {
    std::string list;
    for (const auto& id : ids) (list += list.empty() ? "" : ", ") += name_of(names, id);
    return list;
}

std::string titled(const std::string& name, const std::string& id) {
    return name.empty() ? short_id(id) : fmt::format("{} ({})", name, short_id(id));
}

std::string format_left(const google::protobuf::Duration& left) {
    const auto tenths = left.seconds() * 10 + left.nanos() / 100'000'000;
    return fmt::format("{}.{}s", tenths / 10, tenths % 10);
}

// --- node ls

// Only of itself a node knows whether its earlier start has not ended yet.
std::string state_of(const v1::Member& member, const v1::ThisNode& here) {
    const bool itself = member.id() == here.id();
    if (itself && (!member.live() || member.incarnation() != here.incarnation())) return "waiting";
    if (!member.live()) return "away";
    return member.draining() ? "draining" : "live";
}

std::string role_of(const v1::Member& member) {
    if (member.leader()) return "leader";
    return member.voter() ? "voter" : "-";
}

struct Widths {
    std::size_t name = 4;
    std::size_t zone = 4;
    std::size_t release = 7;
};

Widths widths_for(const v1::GetPoolResponse& pool) {
    Widths widths;
    for (const auto& member : pool.members()) {
        widths.name = std::max(widths.name, member.name().size());
        widths.zone = std::max(widths.zone, member.zone().size());
        widths.release = std::max(widths.release, member.release().size());
    }
    return widths;
}

std::string node_row(const v1::Member& member, const v1::ThisNode& here, const Widths& widths) {
    return fmt::format(
        "{:<{}} {} {:<8} {:<6} {:>6} {:<{}} {:<{}} {:>5} {:>5} {}\n", or_dash(member.name()),
        widths.name, short_id(member.id()), state_of(member, here), role_of(member),
        member.has_lease_left() ? format_left(member.lease_left()) : "-", or_dash(member.zone()),
        widths.zone, or_dash(member.release()), widths.release, member.partitions_owned(),
        member.partitions_in_sync(), or_dash(member.address()));
}

// "3 nodes: 2 live, 1 away"
std::string nodes_counted(const v1::GetPoolResponse& pool) {
    std::map<std::string, std::uint64_t> counts;
    for (const auto& member : pool.members()) ++counts[state_of(member, pool.this_node())];
    std::string text = counted(static_cast<std::uint64_t>(pool.members_size()), "node") + ":";
    bool first = true;
    for (const char* state : {"live", "draining", "waiting", "away"}) {
        if (counts[state] == 0) continue;
        text += fmt::format("{} {} {}", first ? "" : ",", counts[state], state);
        first = false;
    }
    return text;
}

// As people look for them; the pool lists them by id.
std::vector<const v1::Member*> by_name(const v1::GetPoolResponse& pool) {
    std::vector<const v1::Member*> members;
    for (const auto& member : pool.members()) members.push_back(&member);
    std::ranges::sort(members, {},
                      [](const auto* member) { return std::tie(member->name(), member->id()); });
    return members;
}

std::string without_pool(const v1::ThisNode& here) {
    return fmt::format("This node has no pool yet: {}{}{}.\n", or_dash(here.phase()),
                       here.waits_for().empty() ? "" : "; it waits for ", here.waits_for());
}

// Where nobody leads or votes.
bool on_etcd(const v1::GetPoolResponse& pool) {
    return pool.control() == "etcd";
}

// --- pool status

std::string leader_field(const v1::GetPoolResponse& pool, const Names& names) {
    if (pool.leader_id().empty()) return field("leader", "none");
    const auto name = names.find(pool.leader_id());
    return field("leader", titled(name == names.end() ? "" : name->second, pool.leader_id()));
}

std::string voters_field(const v1::GetPoolResponse& pool, const Names& names) {
    return field("voters", name_list(names, pool.voter_ids()) +
                               (pool.voters_changing() ? " (changing)" : ""));
}

// Without a leader it matters whether this node may go on without a lease.
std::string this_node_field(const v1::GetPoolResponse& pool) {
    const auto& here = pool.this_node();
    auto text = fmt::format("{}, {}, incarnation {}", titled(here.name(), here.id()),
                            or_dash(here.phase()), here.incarnation());
    if (here.has_lease_left()) text += ", lease " + format_left(here.lease_left());
    if (!here.evictable() && pool.leader_id().empty()) text += ", cannot be evicted";
    return field("this node", text) + field("waits for", here.waits_for());
}

std::string releases_field(const v1::GetPoolResponse& pool) {
    std::string list;
    for (const auto& release : pool.releases()) {
        (list += list.empty() ? "" : ", ") += or_dash(release);
    }
    const bool mixed = pool.releases_size() > 1;
    return field("release", fmt::format("{}{}, features of level {}", list, mixed ? " (mixed)" : "",
                                        pool.features()));
}

std::string partitions_field(const v1::GetPoolResponse& pool) {
    const auto closing = std::ranges::count_if(pool.partitions(), [](const auto& partition) {
        return partition.phase() == v1::PARTITION_PHASE_CLOSING;
    });
    return field("partitions", fmt::format("{}, {} closing", pool.partitions_size(), closing));
}

std::string problem(const std::string& text) {
    return field("problem", text);
}

// Who decides for the pool.
std::string agreement_fields(const v1::GetPoolResponse& pool, const Names& names) {
    if (on_etcd(pool)) {
        return field("version", std::to_string(pool.version())) + field("decides", "etcd");
    }
    return field("version", fmt::format("{}, term {}", pool.version(), pool.term())) +
           leader_field(pool, names) + voters_field(pool, names);
}

std::string decision_problem(const v1::GetPoolResponse& pool) {
    if (pool.can_decide()) return "";
    if (on_etcd(pool)) {
        return problem(
            "this node has no lease by etcd, this is what it heard last: it can change nothing");
    }
    return problem(
        "no leader is heard here, this is what was agreed last: nothing can be decided until a "
        "majority of the voters is there");
}

std::string unowned_problem(const v1::GetPoolResponse& pool, const Names& names) {
    std::uint64_t count = 0;
    std::set<std::string> holders;
    for (const auto& partition : pool.partitions()) {
        if (!partition.owner_id().empty()) continue;
        ++count;
        holders.insert(partition.in_sync_ids().begin(), partition.in_sync_ids().end());
    }
    if (count == 0) return "";
    return problem(fmt::format("{} without an owner: mail in there waits for {}",
                               counted(count, "partition"), name_list(names, holders)));
}

// Whoever is away may have the furthest copy of what a removed node held.
std::string unvouched_problem(const v1::GetPoolResponse& pool, const Names& names) {
    std::set<std::string> away;
    for (const auto& member : pool.members()) {
        if (state_of(member, pool.this_node()) == "away") away.insert(member.id());
    }
    std::uint64_t count = 0;
    std::set<std::string> waited_for;
    for (const auto& partition : pool.partitions()) {
        if (!partition.unvouched()) continue;
        bool waits = false;
        for (const auto& node : partition.in_sync_ids()) {
            if (!away.contains(node)) continue;
            waits = true;
            waited_for.insert(node);
        }
        count += waits ? 1 : 0;
    }
    if (count == 0) return "";
    return problem(fmt::format(
        "{} of a removed node: {} may have a copy and is waited for; bring it back, or remove it",
        counted(count, "partition"), name_list(names, waited_for)));
}

std::string short_problem(const v1::GetPoolResponse& pool) {
    const auto count = std::ranges::count_if(
        pool.partitions(), [](const auto& partition) { return partition.short_of_copies(); });
    if (count == 0) return "";
    return problem(fmt::format("{} with fewer in-sync nodes than copies",
                               counted(static_cast<std::uint64_t>(count), "partition")));
}

std::string away_problems(const v1::GetPoolResponse& pool) {
    std::string text;
    for (const auto& member : pool.members()) {
        if (state_of(member, pool.this_node()) == "away") {
            text += problem(titled(member.name(), member.id()) + " is away");
        }
    }
    return text;
}

std::string lease_problem(const v1::ThisNode& here) {
    const bool over = !here.has_lease_left() || format_left(here.lease_left()) == "0.0s";
    if (here.phase() != "member" || !here.evictable() || !over) return "";
    return problem("this node has no lease: it takes and delivers no mail");
}

std::string set_aside_problems(const v1::GetPoolResponse& pool) {
    std::string text;
    for (const auto& directory : pool.set_aside()) {
        text += problem("set aside, its mail is not sent: " + directory);
    }
    return text;
}

std::string problems(const v1::GetPoolResponse& pool, const Names& names) {
    const auto text = decision_problem(pool) + lease_problem(pool.this_node()) +
                      unowned_problem(pool, names) + unvouched_problem(pool, names) +
                      short_problem(pool) + away_problems(pool) + set_aside_problems(pool);
    return text.empty() ? "-- nothing is wrong\n" : text;
}

std::string partition_state(const v1::Partition& partition) {
    std::string state = partition.phase() == v1::PARTITION_PHASE_CLOSING ? "closing" : "open";
    if (partition.solo()) state += ",solo";
    if (partition.short_of_copies()) state += ",short";
    if (partition.unvouched()) state += ",unvouched";
    return state;
}

}  // namespace

std::string nodes_text(const v1::GetPoolResponse& pool) {
    if (pool.pool_id().empty()) return without_pool(pool.this_node());
    const auto widths = widths_for(pool);
    auto text = fmt::format("{:<{}} {:<8} {:<8} {:<6} {:>6} {:<{}} {:<{}} {:>5} {:>5} {}\n", "NAME",
                            widths.name, "ID", "STATE", "ROLE", "LEASE", "ZONE", widths.zone,
                            "RELEASE", widths.release, "OWNS", "HOLDS", "ADDRESS");
    for (const auto* member : by_name(pool)) text += node_row(*member, pool.this_node(), widths);
    const char* stale = pool.can_decide() ? ""
                        : on_etcd(pool)   ? "; without a lease by etcd, this was heard last"
                                          : "; no leader is heard, this was agreed last";
    return text + "-- " + nodes_counted(pool) + stale + '\n';
}

std::string pool_text(const v1::GetPoolResponse& pool) {
    if (pool.pool_id().empty()) {
        return field("pool", "none yet") + this_node_field(pool) + set_aside_problems(pool);
    }
    const auto names = names_in(pool);
    return field("pool",
                 fmt::format("{}, incarnation {}", pool.pool_id(), pool.pool_incarnation())) +
           agreement_fields(pool, names) + field("nodes", nodes_counted(pool)) +
           field("copies", std::to_string(pool.copies())) + this_node_field(pool) +
           releases_field(pool) + partitions_field(pool) + problems(pool, names);
}

std::string partitions_text(const v1::GetPoolResponse& pool) {
    const auto names = names_in(pool);
    std::size_t width = 5;
    for (const auto& [id, name] : names) width = std::max(width, name.size());
    auto text = fmt::format("{:>9} {:<18} {:>5} {:<{}} {}\n", "PARTITION", "STATE", "EPOCH",
                            "OWNER", width, "IN SYNC");
    for (const auto& partition : pool.partitions()) {
        const auto& owner = partition.owner_id();
        text += fmt::format("{:>9} {:<18} {:>5} {:<{}} {}\n", partition.id(),
                            partition_state(partition), partition.epoch(),
                            owner.empty() ? "-" : name_of(names, owner), width,
                            name_list(names, partition.in_sync_ids()));
    }
    return text;
}

}  // namespace posthorse::admin
