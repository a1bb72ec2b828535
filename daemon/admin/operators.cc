#include "daemon/admin/operators.h"

#include <algorithm>
#include <map>

#include "proto/types/reply.h"

namespace posthorse::admin {
namespace {

constexpr std::size_t name_bytes_max = 200;  // leaves room for what the request says

using Roles = std::map<std::string, v1::Role, std::less<>>;

Roles roles_of_methods() {
    Roles roles;
    const auto* service = v1::GetStatusRequest::descriptor()->file()->FindServiceByName("Admin");
    for (int i = 0; i < service->method_count(); ++i) {
        const auto* method = service->method(i);
        const auto role = method->options().GetExtension(v1::role);
        if (role == v1::ROLE_UNSPECIFIED) continue;
        roles['/' + service->full_name() + '/' + method->name()] = role;
    }
    return roles;
}

bool holds(const std::vector<std::string>& list, const std::string& name) {
    return std::ranges::find(list, name) != list.end();
}

v1::Role role_of(const Operators& operators, const std::string& name) {
    if (holds(operators.admins, name)) return v1::ROLE_ADMIN;
    if (holds(operators.operators, name)) return v1::ROLE_OPERATE;
    if (holds(operators.readers, name)) return v1::ROLE_READ;
    return v1::ROLE_UNSPECIFIED;
}

std::string joined(const std::vector<std::string>& names) {
    std::string list;
    for (const auto& name : names) (list += list.empty() ? "" : ", ") += name;
    return sanitise(list, name_bytes_max);
}

}  // namespace

std::optional<NamedOperator> find_operator(const Operators& operators,
                                           const std::vector<std::string>& names) {
    NamedOperator found;
    for (const auto& name : names) {
        if (const auto role = role_of(operators, name); role > found.role) found = {name, role};
    }
    if (found.role == v1::ROLE_UNSPECIFIED) return std::nullopt;
    return found;
}

v1::Role role_taken(std::string_view path) {
    static const Roles roles = roles_of_methods();
    for (const std::string_view open :
         {"/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/"}) {
        if (path.starts_with(open)) return v1::ROLE_READ;
    }
    const auto found = roles.find(path);
    return found == roles.end() ? v1::ROLE_ADMIN : found->second;
}

const char* to_string(v1::Role role) {
    switch (role) {
        case v1::ROLE_READ:
            return "read";
        case v1::ROLE_OPERATE:
            return "operate";
        case v1::ROLE_ADMIN:
            return "admin";
        default:
            return "none";
    }
}

std::optional<CallRefusal> judge_call(const Operators& operators,
                                      const std::vector<std::string>& names,
                                      std::string_view path) {
    using Reason = CallRefusal::Reason;
    if (names.empty()) {
        return CallRefusal{Reason::no_name, "",
                           "show a certificate of the authority in admin.ca_file that has a name"};
    }
    const auto caller = find_operator(operators, names);
    if (!caller) {
        auto shown = joined(names);
        return CallRefusal{Reason::unknown_name, shown,
                           "the certificate's name (" + shown +
                               ") is in none of admin.readers, admin.operators and admin.admins"};
    }
    const auto taken = role_taken(path);
    if (caller->role >= taken) return std::nullopt;
    return CallRefusal{Reason::role_too_low, sanitise(caller->name, name_bytes_max),
                       sanitise(caller->name, name_bytes_max) + " has the role " +
                           to_string(caller->role) + ", this call takes " + to_string(taken)};
}

std::string audited_name(const std::string& certified, const std::string& said) {
    const auto name = sanitise(certified, name_bytes_max);
    return said.empty() ? name : name + " (says " + said + ")";
}

}  // namespace posthorse::admin
