#include "daemon/admin/operator_check.h"

#include <grpc/grpc_security_constants.h>

#include "daemon/runtime/log.h"
#include "proto/types/reply.h"

namespace posthorse::admin {
namespace {

constexpr const char* refused_name = "posthorse_admin_refused_total";
constexpr const char* refused_help = "Calls of operators from afar, refused.";
constexpr std::size_t path_bytes_max = 200;

std::vector<std::string> values_of(const grpc::AuthContext& peer, const char* property) {
    std::vector<std::string> values;
    for (const auto& one : peer.FindPropertyValues(property)) {
        values.emplace_back(one.data(), one.size());
    }
    return values;
}

std::string path_of(const grpc::AuthMetadataProcessor::InputMetadata& metadata) {
    const auto found = metadata.find(":path");
    if (found == metadata.end()) return {};
    return {found->second.data(), found->second.size()};
}

}  // namespace

OperatorCheck::OperatorCheck(const runtime::Reloadable<const Operators>& operators,
                             runtime::Metrics& metrics)
    : operators_(operators),
      no_name_(metrics.counter(refused_name, refused_help, {{"reason", "no_name"}})),
      unknown_name_(metrics.counter(refused_name, refused_help, {{"reason", "unknown_name"}})),
      role_too_low_(metrics.counter(refused_name, refused_help, {{"reason", "role_too_low"}})) {}

grpc::Status OperatorCheck::Process(const InputMetadata& metadata,
                                    grpc::AuthContext* peer,
                                    OutputMetadata* /*consumed*/,
                                    OutputMetadata* /*response*/) {
    using Reason = CallRefusal::Reason;
    const auto path = path_of(metadata);
    const auto names = peer == nullptr ? std::vector<std::string>{} : names_of(*peer);
    const auto refusal = judge_call(*operators_.get(), names, path);
    if (!refusal) return grpc::Status::OK;
    auto& counter = refusal->reason == Reason::no_name        ? no_name_
                    : refusal->reason == Reason::unknown_name ? unknown_name_
                                                              : role_too_low_;
    counter.add();
    runtime::log::warning("admin_refused", {{"name", refusal->name},
                                            {"method", sanitise(path, path_bytes_max)},
                                            {"why", refusal->what}});
    return {refusal->reason == Reason::no_name ? grpc::StatusCode::UNAUTHENTICATED
                                               : grpc::StatusCode::PERMISSION_DENIED,
            refusal->what};
}

std::vector<std::string> names_of(const grpc::AuthContext& peer) {
    if (!peer.IsPeerAuthenticated()) return {};
    auto names = values_of(peer, GRPC_X509_SAN_PROPERTY_NAME);
    return names.empty() ? values_of(peer, GRPC_X509_CN_PROPERTY_NAME) : names;
}

std::string operator_of(const grpc::AuthContext& peer,
                        const Operators& operators,
                        const std::string& said) {
    const auto names = names_of(peer);
    if (names.empty()) return said;
    const auto caller = find_operator(operators, names);
    return audited_name(caller ? caller->name : names.front(), said);
}

}  // namespace posthorse::admin
