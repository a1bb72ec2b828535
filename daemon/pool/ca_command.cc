#include "daemon/pool/ca_command.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <ostream>

#include "daemon/config/join_entry.h"
#include "daemon/config/validate.h"
#include "daemon/pool/certificate_authority.h"
#include "daemon/runtime/new_file.h"
#include "daemon/runtime/read_file.h"
#include "proto/types/date_time.h"

namespace posthorse::pool {
namespace {

// Nodes whose clocks are behind take a new certificate too.
constexpr auto backdated = std::chrono::minutes{5};

int refuse(std::ostream& err, const char* command, const Error& error) {
    err << "posthorse pool ca " << command << ": " << error.what << '\n';
    return 1;
}

std::string absolute(const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal();
}

std::string authority_prefix(const std::string& directory) {
    return absolute(directory + "/ca");
}

Validity validity_from(WallTime now, unsigned days) {
    return {now - backdated, now + std::chrono::days{days}};
}

Result<void> write(const runtime::NewFile& file, const char* mend) {
    auto written = runtime::write_new_file(file);
    if (written || written.error().code != Errc::conflict) return written;
    return Error{Errc::conflict, written.error().what + "; " + mend};
}

// Both files or neither.
Result<void> write_pair(const std::string& prefix, const Credentials& made, const char* mend) {
    const auto key = prefix + ".key";
    if (auto written = write({key, made.key, 0600}, mend); !written) return written;
    auto written = write({prefix + ".pem", made.certificate, 0644}, mend);
    if (!written) unlink(key.c_str());
    return written;
}

Result<std::string> read_part(const std::string& path) {
    auto text = runtime::read_file(path);
    if (text) return text;
    return Error{Errc::unavailable,
                 "cannot read '" + path + "': " + text.error().what +
                     "; name the authority's directory with --dir, or make one with "
                     "`posthorse pool ca init`"};
}

Result<Credentials> read_authority(const std::string& directory) {
    const auto prefix = authority_prefix(directory);
    auto certificate = read_part(prefix + ".pem");
    if (!certificate) return certificate.error();
    auto key = read_part(prefix + ".key");
    if (!key) return key.error();
    return Credentials{std::move(*certificate), std::move(*key)};
}

bool is_name(const std::string& text) {
    const auto entry = config::parse_join_entry(text);
    return entry && entry->name == text && entry->kind != config::JoinEntry::Kind::service;
}

Result<void> check(const CaIssueCommand& command) {
    const auto wrong = std::find_if_not(command.names.begin(), command.names.end(), is_name);
    if (wrong == command.names.end()) return {};
    return Error{Errc::invalid, "'" + *wrong +
                                    "' names no node; write a host name or an IP address, without "
                                    "brackets and port"};
}

Result<Issued> issue_by(const CaIssueCommand& command, WallTime now) {
    if (const auto valid = check(command); !valid) return valid.error();
    const auto authority = read_authority(command.directory);
    if (!authority) return authority.error();
    auto names = command.names;
    if (names.empty()) names.emplace_back(shared_name);
    auto made = issue(*authority, {std::move(names), validity_from(now, command.days)});
    if (made || made.error().code != Errc::invalid) return made;
    return Error{Errc::invalid,
                 "the authority '" + authority_prefix(command.directory) +
                     ".pem' cannot be used: " + made.error().what +
                     "; make another with `posthorse pool ca init`, in another directory"};
}

std::string prefix_of(const CaIssueCommand& command) {
    if (!command.prefix.empty()) return absolute(command.prefix);
    return absolute(command.directory + '/' +
                    (command.names.empty() ? "pool" : command.names.front()));
}

void print_settings(std::ostream& out, const CaIssueCommand& command) {
    const auto prefix = prefix_of(command);
    out << "In the configuration of " << (command.names.empty() ? "every" : "this") << " node:\n"
        << "[pool]\n"
        << "ca_file = \"" << authority_prefix(command.directory) << ".pem\"\n"
        << "certificate_file = \"" << prefix << ".pem\"\n"
        << "key_file = \"" << prefix << ".key\"\n";
    // A node has a name, not an address: a certificate of addresses alone says who is a member.
    const auto name =
        std::find_if_not(command.names.begin(), command.names.end(), config::is_ip_address);
    if (name == command.names.end()) {
        out << "certificates = \"pool\"\n";
    } else {
        out << "certificates = \"node\"\nname = \"" << *name << "\"\n";
    }
}

}  // namespace

int ca_init(const CaInitCommand& command, WallTime now, std::ostream& out, std::ostream& err) {
    std::error_code failed;
    std::filesystem::create_directory(command.directory, failed);
    if (failed) {
        return refuse(
            err, "init",
            {Errc::io, "cannot make directory '" + command.directory + "': " + failed.message()});
    }
    const auto made = make_authority(validity_from(now, command.days));
    if (!made) return refuse(err, "init", made.error());
    const auto prefix = authority_prefix(command.directory);
    const auto written = write_pair(prefix, made->credentials, "choose another --dir");
    if (!written) return refuse(err, "init", written.error());
    out << "The pool's authority is " << prefix << ".pem, until " << format_day(made->until)
        << ".\n"
        << "Its key is " << prefix << ".key (mode 0600): whoever has it can make members of the "
        << "pool.\nKeep it off the nodes.\n\n"
        << "Next, one certificate for all nodes:\n"
        << "    posthorse pool ca issue --dir " << command.directory << "\n"
        << "or one for each:\n"
        << "    posthorse pool ca issue --dir " << command.directory << " --name NODE\n";
    return 0;
}

int ca_issue(const CaIssueCommand& command, WallTime now, std::ostream& out, std::ostream& err) {
    const auto made = issue_by(command, now);
    if (!made) return refuse(err, "issue", made.error());
    const auto prefix = prefix_of(command);
    const auto written =
        write_pair(prefix, made->credentials, "move it away, or choose another --out");
    if (!written) return refuse(err, "issue", written.error());
    out << "The certificate is in " << prefix << ".pem, until " << format_day(made->until) << ".\n"
        << "Its key is in " << prefix << ".key (mode 0600): let the node's user read it.\n\n";
    print_settings(out, command);
    return 0;
}

}  // namespace posthorse::pool
