// Certificates and keys for both ends of the connections between peers, and their renewal.
//
// Place     Under peer_network.h.
// Contract  gRPC reads only what passed check_identity(), from memory of this process: whatever
//           happens to the operator's files, what was good stays in use until reload() takes a
//           whole new set. Handshakes see the new one within two seconds, connections that stand
//           keep the old one.
//           Both ends must show a certificate of one of the authorities; TLS 1.2 or 1.3. Names of
//           hosts are not looked at.
// Owner     PeerNetwork. open() and reload() read files and block for that long.
// Errors    invalid, or io when a file cannot be read: names the file and the mend.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include "replication/edge/certificate_check.h"

namespace grpc::experimental {
class CertificateProviderInterface;
}

namespace posthorse::replication {

// Content in memory that others read by a path. A new content replaces the old one at once.
class MemoryFile {
public:
    MemoryFile() = default;
    ~MemoryFile();
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;

    Result<void> replace(const std::string& content);
    std::string path() const;  // requires a content

private:
    int fd_ = -1;
    long generation_ = 0;
};

// Of at most a megabyte.
Result<std::string> read_pem_file(const std::string& path);

class PeerCredentials {
public:
    // `name`: that the certificate must carry.
    static Result<std::unique_ptr<PeerCredentials>> open(PeerFiles files,
                                                         std::optional<std::string> name);

    Result<void> reload();
    // Of this node's certificate.
    WallTime expires() const noexcept { return expires_; }

    std::shared_ptr<grpc::ServerCredentials> server() const;
    std::shared_ptr<grpc::ChannelCredentials> channel() const;

private:
    PeerCredentials(PeerFiles files, std::optional<std::string> name)
        : files_(std::move(files)), name_(std::move(name)) {}

    const PeerFiles files_;
    const std::optional<std::string> name_;
    MemoryFile authorities_;
    MemoryFile identity_;  // certificates, then the key: replaced together
    WallTime expires_{};
    std::shared_ptr<grpc::experimental::CertificateProviderInterface> provider_;
};

}  // namespace posthorse::replication
