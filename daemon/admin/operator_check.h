// Looks at every call that comes over TLS before anything of it is read: who calls, and may he?
//
// Place     On the credentials of the admin port (admin_server.h). The edge to gRPC's certificates;
//           operators.h judges.
// Contract  A refused call never reaches a handler: UNAUTHENTICATED without a name in the
//           certificate, else PERMISSION_DENIED with what is missing. Each is a log line
//           (admin_refused) and is counted by reason.
// Owner     The credentials. gRPC's threads call, several at a time.
#pragma once

#include <string>
#include <vector>

#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/auth_metadata_processor.h>

#include "daemon/admin/operators.h"
#include "daemon/runtime/metrics.h"
#include "daemon/runtime/reloadable.h"

namespace posthorse::admin {

class OperatorCheck final : public grpc::AuthMetadataProcessor {
public:
    // Both outlive this.
    OperatorCheck(const runtime::Reloadable<const Operators>& operators, runtime::Metrics& metrics);

    bool IsBlocking() const override { return false; }
    grpc::Status Process(const InputMetadata& metadata,
                         grpc::AuthContext* peer,
                         OutputMetadata* consumed,
                         OutputMetadata* response) override;

private:
    const runtime::Reloadable<const Operators>& operators_;
    runtime::Counter no_name_;
    runtime::Counter unknown_name_;
    runtime::Counter role_too_low_;
};

// The names of the certificate that the peer has shown: its alternative names; its common name when
// it has none of them. Empty: it has shown none.
std::vector<std::string> names_of(const grpc::AuthContext& peer);

// The operator's name for the audit log. On the Unix socket it is what the request says.
std::string operator_of(const grpc::AuthContext& peer,
                        const Operators& operators,
                        const std::string& said);

}  // namespace posthorse::admin
