#include "replication/edge/peer_credentials.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "proto/types/assert.h"

namespace posthorse::replication {
namespace {

namespace tls = grpc::experimental;

constexpr unsigned look_every_seconds = 1;
constexpr std::size_t file_bytes_max = 1024 * 1024;

std::string system_reason() {
    return std::generic_category().message(errno);
}

Result<PeerIdentity> read_identity(const PeerFiles& files) {
    const auto authorities = read_pem_file(files.ca_file);
    if (!authorities) return authorities.error();
    const auto certificate = read_pem_file(files.certificate_file);
    if (!certificate) return certificate.error();
    const auto key = read_pem_file(files.key_file);
    if (!key) return key.error();
    return PeerIdentity{*authorities, *certificate, *key};
}

template <class Options>
Options watching(Options options) {
    options.watch_root_certs();
    options.watch_identity_key_cert_pairs();
    return options;
}

}  // namespace

Result<std::string> read_pem_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return Error{Errc::io, path + ": cannot be opened: " + system_reason() +
                                   "; it must be there and readable by the node's user"};
    }
    std::string content;
    char part[16 * 1024];
    ssize_t count = 0;
    while (content.size() <= file_bytes_max && (count = ::read(fd, part, sizeof part)) > 0)
        content.append(part, static_cast<std::size_t>(count));
    const auto reason = system_reason();
    ::close(fd);
    if (count < 0) return Error{Errc::io, path + ": cannot be read: " + reason};
    if (content.size() > file_bytes_max)
        return Error{Errc::invalid, path + ": is larger than a megabyte; give the right file"};
    return content;
}

MemoryFile::~MemoryFile() {
    if (fd_ >= 0) ::close(fd_);
}

Result<void> MemoryFile::replace(const std::string& content) {
    const auto failed = [](const char* doing) {
        return Error{Errc::io,
                     std::string("memory for a key: cannot ") + doing + ": " + system_reason()};
    };
    const int fresh = ::memfd_create("posthorse-peer", MFD_CLOEXEC);
    if (fresh < 0) return failed("make");
    // A reader takes two reads for one content when the times agree, and they have whole seconds.
    const timespec generation{++generation_, 0};
    const timespec times[2] = {generation, generation};
    const bool written =
        ::write(fresh, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
        ::futimens(fresh, times) == 0;
    if (!written || (fd_ >= 0 && ::dup3(fresh, fd_, O_CLOEXEC) < 0)) {
        const auto error = failed("write");
        ::close(fresh);
        return error;
    }
    if (fd_ >= 0) {
        ::close(fresh);
    } else {
        fd_ = fresh;
    }
    return {};
}

std::string MemoryFile::path() const {
    PH_ASSERT(fd_ >= 0);
    return "/proc/self/fd/" + std::to_string(fd_);
}

Result<std::unique_ptr<PeerCredentials>> PeerCredentials::open(PeerFiles files,
                                                               std::optional<std::string> name) {
    auto credentials =
        std::unique_ptr<PeerCredentials>(new PeerCredentials(std::move(files), std::move(name)));
    if (auto loaded = credentials->reload(); !loaded) return loaded.error();
    const auto identity = credentials->identity_.path();
    if (::access(identity.c_str(), R_OK) != 0)
        return Error{Errc::io,
                     identity + ": cannot be read: " + system_reason() + "; /proc must be mounted"};
    credentials->provider_ = std::make_shared<tls::FileWatcherCertificateProvider>(
        identity, identity, credentials->authorities_.path(), look_every_seconds);
    return credentials;
}

Result<void> PeerCredentials::reload() {
    const auto read = read_identity(files_);
    if (!read) return read.error();
    const auto checked = check_identity(*read, files_, name_);
    if (!checked) return checked.error();
    const auto& good = checked->identity;
    if (auto done = authorities_.replace(good.authorities); !done) return done;
    if (auto done = identity_.replace(good.certificate + good.key); !done) return done;
    expires_ = checked->expires;
    return {};
}

std::shared_ptr<grpc::ServerCredentials> PeerCredentials::server() const {
    auto options = watching(tls::TlsServerCredentialsOptions(provider_));
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    return tls::TlsServerCredentials(options);
}

// The chain is verified; the host's name is not: addresses of containers come and go, and whoever
// has a certificate of the authorities is a peer.
std::shared_ptr<grpc::ChannelCredentials> PeerCredentials::channel() const {
    tls::TlsChannelCredentialsOptions options;
    options.set_certificate_provider(provider_);
    options.watch_root_certs();
    options.watch_identity_key_cert_pairs();
    options.set_verify_server_certs(true);
    options.set_check_call_host(false);
    options.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
    return tls::TlsCredentials(options);
}

}  // namespace posthorse::replication
