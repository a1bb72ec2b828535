#include "daemon/sign/keygen_command.h"

#include <filesystem>
#include <ostream>

#include "daemon/config/validate.h"
#include "daemon/runtime/new_file.h"

namespace posthorse::sign {
namespace {

constexpr std::size_t txt_string_bytes_max = 255;

std::string key_name(const KeygenCommand& command) {
    return command.selector + "._domainkey." + command.domain;
}

Result<void> write_key(const std::string& path, const PrivateKey& key) {
    auto written = runtime::write_new_file({path, key.pem(), 0600});
    if (written || written.error().code != Errc::conflict) return written;
    return Error{Errc::conflict, written.error().what + "; choose another selector"};
}

Result<void> check(const KeygenCommand& command) {
    if (!config::is_domain(command.domain)) {
        return Error{Errc::invalid, "'" + command.domain + "' is no domain name"};
    }
    if (!config::is_domain(command.selector)) {
        return Error{Errc::invalid,
                     "'" + command.selector + "' is no selector; use letters, digits and hyphens"};
    }
    return {};
}

int refuse(std::ostream& err, const Error& error) {
    err << "posthorse dkim keygen: " << error.what << '\n';
    return 1;
}

}  // namespace

std::string dns_record(const KeygenCommand& command, const PrivateKey& key) {
    std::string rest = "v=DKIM1; ";
    rest += key.kind() == KeyKind::rsa ? "h=sha256; k=rsa" : "k=ed25519";
    rest += "; p=" + key.public_key_base64();
    std::string record = key_name(command) + ". IN TXT (";
    for (; !rest.empty(); rest.erase(0, txt_string_bytes_max)) {
        record += "\n    \"" + rest.substr(0, txt_string_bytes_max) + '"';
    }
    return record + " )";
}

int keygen(const KeygenCommand& command, std::ostream& out, std::ostream& err) {
    if (const auto valid = check(command); !valid) return refuse(err, valid.error());
    const auto key = PrivateKey::generate(command.kind);
    if (!key) return refuse(err, key.error());
    const auto name = key_name(command);
    const auto path =
        (std::filesystem::absolute(command.directory) / (name + ".pem")).lexically_normal();
    if (const auto written = write_key(path, *key); !written) return refuse(err, written.error());
    out << "The private key is in " << path.string()
        << " (mode 0600): let the node's user read it.\n\n"
        << "In DNS, in the zone of " << command.domain << ":\n"
        << dns_record(command, *key) << "\n\n"
        << "In the KeyTable (dkim.key_table):\n"
        << name << ' ' << command.domain << ':' << command.selector << ':' << path.string()
        << "\n\n"
        << "In the SigningTable (dkim.signing_table):\n"
        << "*@" << command.domain << ' ' << name << '\n';
    return 0;
}

}  // namespace posthorse::sign
