#include "daemon/admin/member_name.h"

#include <algorithm>
#include <vector>

#include "proto/types/reply.h"

namespace posthorse::admin {
namespace {

using replication::Member;

constexpr std::size_t name_bytes_max = 255;
constexpr std::size_t short_id = 8;

std::string in_lower_case(std::string text) {
    for (char& c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

bool answers_to(const Member& member, const std::string& given) {
    if (member.facts.name == given) return true;
    return given.size() >= id_prefix_min && member.id.to_string().starts_with(in_lower_case(given));
}

Error ambiguous(const std::string& given, const std::vector<const Member*>& found) {
    std::string list;
    for (const auto* member : found) {
        if (!list.empty()) list += ", ";
        list += member->facts.name + ' ' + member->id.to_string();
    }
    return {Errc::conflict,
            "'" + given + "' is the name of several members: " + list + "; give more of the id"};
}

}  // namespace

std::string title_of(const Member& member) {
    const auto id = member.id.to_string().substr(0, short_id);
    return member.facts.name.empty() ? id : member.facts.name + " (" + id + ")";
}

std::string title_of(const replication::PoolState& state, const NodeId& node) {
    const auto* member = state.member(node);
    return sanitise(member == nullptr ? node.to_string().substr(0, short_id) : title_of(*member));
}

std::string name_of(const replication::PoolState& state, const NodeId& node) {
    const auto* member = state.member(node);
    return member == nullptr ? std::string{} : sanitise(member->facts.name, name_bytes_max);
}

Result<const Member*> find_member(const replication::PoolState& state, const std::string& given) {
    if (given.empty() || given.size() > name_bytes_max) {
        return Error{Errc::invalid, "a member is named by its name, its id, or at least " +
                                        std::to_string(id_prefix_min) + " digits of its id"};
    }
    std::vector<const Member*> found;
    for (const auto& member : state.members) {
        if (answers_to(member, given)) found.push_back(&member);
    }
    const auto shown = sanitise(given, name_bytes_max);
    if (found.size() > 1) return ambiguous(shown, found);
    if (found.size() == 1) return found.front();
    return Error{Errc::not_found,
                 "no member '" + shown + "' in the pool; `posthorse node ls` lists them"};
}

}  // namespace posthorse::admin
