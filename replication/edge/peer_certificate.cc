#include "replication/edge/peer_certificate.h"

#include <algorithm>
#include <string_view>

#include <grpc/grpc_security_constants.h>

namespace posthorse::replication {
namespace {

// Host names know no case, and a certificate's names are host names as a rule.
bool same_name(std::string_view one, std::string_view other) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                      [&](char a, char b) { return lower(a) == lower(b); });
}

}  // namespace

bool is_authenticated(const grpc::AuthContext* peer) {
    return peer != nullptr && peer->IsPeerAuthenticated();
}

bool carries(const grpc::AuthContext& peer, const std::string& name) {
    const auto names = peer.FindPropertyValues(GRPC_X509_SAN_PROPERTY_NAME);
    return std::any_of(names.begin(), names.end(), [&](const grpc::string_ref& one) {
        return same_name({one.data(), one.size()}, name);
    });
}

}  // namespace posthorse::replication
