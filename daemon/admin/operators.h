// Who may call what from afar: names in certificates, their roles, and the roles that methods take.
//
// Place     Under operator_check.h, which asks for every call on the TCP port. Pure.
// Contract  A name has the highest role of the lists that it stands in; names are compared octet by
//           octet. What a method of the admin service takes, admin.proto says; one that says
//           nothing, and every method that is not known here, takes ADMIN.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "posthorse/v1/admin.pb.h"

namespace posthorse::admin {

// Names, as certificates carry them.
struct Operators {
    std::vector<std::string> readers;
    std::vector<std::string> operators;
    std::vector<std::string> admins;
};

struct NamedOperator {
    std::string name;
    v1::Role role = v1::ROLE_UNSPECIFIED;
};

// Of the names of one certificate, the one with the highest role.
std::optional<NamedOperator> find_operator(const Operators& operators,
                                           const std::vector<std::string>& names);

// `path` as gRPC has it: "/posthorse.v1.Admin/GetStatus".
v1::Role role_taken(std::string_view path);

// "operate", as the logs and errors have it.
const char* to_string(v1::Role role);

struct CallRefusal {
    enum class Reason { no_name, unknown_name, role_too_low };
    Reason reason = Reason::no_name;
    std::string name;  // whom it is about; of several names that are not known, all
    std::string what;  // for the caller: what is missing
};

// nullopt: the call is served.
std::optional<CallRefusal> judge_call(const Operators& operators,
                                      const std::vector<std::string>& names,
                                      std::string_view path);

// The operator's name for the audit log: the certificate's, and behind it what the request says.
std::string audited_name(const std::string& certified, const std::string& said);

}  // namespace posthorse::admin
