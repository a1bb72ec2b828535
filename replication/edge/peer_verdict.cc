#include "replication/edge/peer_verdict.h"

#include <algorithm>
#include <string_view>

#include <grpc/grpc_security_constants.h>

namespace posthorse::replication {
namespace {

constexpr std::size_t problem_bytes_max = 300;

// Host names know no case, and a certificate's names are host names as a rule.
bool same_name(std::string_view one, std::string_view other) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                      [&](char a, char b) { return lower(a) == lower(b); });
}

grpc::StatusCode code_of(Refusal refusal) {
    switch (refusal) {
        case Refusal::none:
            return grpc::StatusCode::OK;
        case Refusal::other_pool:
        case Refusal::stale_incarnation:
        case Refusal::wrong_node:
            return grpc::StatusCode::FAILED_PRECONDITION;
        case Refusal::not_a_member:
            return grpc::StatusCode::PERMISSION_DENIED;
        case Refusal::not_ready:
            return grpc::StatusCode::UNAVAILABLE;
    }
    return grpc::StatusCode::INTERNAL;
}

}  // namespace

bool is_authenticated(const grpc::AuthContext* peer) {
    return peer != nullptr && peer->IsPeerAuthenticated();
}

bool carries_name(const grpc::AuthContext& peer, const std::string& name) {
    const auto names = peer.FindPropertyValues(GRPC_X509_SAN_PROPERTY_NAME);
    return std::any_of(names.begin(), names.end(), [&](const grpc::string_ref& one) {
        return same_name({one.data(), one.size()}, name);
    });
}

grpc::Status status_of(Refusal refusal) {
    if (refusal == Refusal::none) return grpc::Status::OK;
    return {code_of(refusal), to_string(refusal)};
}

std::string problem_of(const grpc::Status& status) {
    std::string problem = status.error_message().substr(0, problem_bytes_max);
    for (char& c : problem) {
        if (c < 0x20 || c > 0x7E) c = '?';
    }
    return problem.empty() ? "failed without a reason" : problem;
}

}  // namespace posthorse::replication
