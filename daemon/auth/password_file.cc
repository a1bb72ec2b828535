#include "daemon/auth/password_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "daemon/auth/password_hash.h"
#include "daemon/runtime/read_file.h"
#include "daemon/runtime/system_clock.h"
#include "proto/smtp/base64.h"

namespace posthorse::auth {
namespace {

constexpr std::size_t login_bytes_max = 320;  // a local part, '@' and a domain
constexpr std::string_view secret_mark = "#scram-secret:";
constexpr std::size_t secret_words = 4;

Error io_error(const std::string& path, const char* doing) {
    return {Errc::io, std::string("cannot ") + doing + " '" + path + "': " + std::strerror(errno)};
}

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    explicit operator bool() const { return fd_ >= 0; }
    int get() const { return fd_; }

private:
    int fd_;
};

std::string directory_of(const std::string& path) {
    const auto parent = std::filesystem::path(path).parent_path();
    return parent.empty() ? "." : parent.string();
}

std::vector<std::string> split_lines(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const auto end = text.find('\n');
        auto line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        lines.emplace_back(line);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

bool is_comment(std::string_view line) {
    return line.find_first_not_of(" \t") == std::string_view::npos || line.starts_with('#');
}

// The login of a row; nullopt for comments and rows without one.
std::optional<std::string> login_of(std::string_view line) {
    const auto colon = line.find(':');
    if (is_comment(line) || colon == std::string_view::npos) return std::nullopt;
    return normalise_login(line.substr(0, colon));
}

Result<std::string> read_rows(const std::string& path) {
    auto text = runtime::read_file(path);
    if (text) return text;
    return Error{Errc::io, "cannot read '" + path + "': " + text.error().what};
}

bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto written = write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

// Owner and mode as the old file's, without anything for others.
bool take_after(int fd, const std::string& old_path) {
    struct stat old{};
    if (stat(old_path.c_str(), &old) != 0) return errno == ENOENT;
    const bool same_owner = old.st_uid == geteuid() && old.st_gid == getegid();
    return (same_owner || fchown(fd, old.st_uid, old.st_gid) == 0) &&
           fchmod(fd, old.st_mode & 0660) == 0;
}

Result<void> replace_file(const std::string& path, const std::string& text) {
    std::string temporary = path + ".XXXXXX";
    const Descriptor file(mkostemp(temporary.data(), O_CLOEXEC));  // mode 0600
    if (!file) return io_error(temporary, "create");
    const bool written =
        take_after(file.get(), path) && write_all(file.get(), text) && fsync(file.get()) == 0;
    if (!written || std::rename(temporary.c_str(), path.c_str()) != 0) {
        const auto error = io_error(path, "write");
        unlink(temporary.c_str());
        return error;
    }
    const Descriptor directory(
        open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || fsync(directory.get()) != 0) return io_error(directory_of(path), "sync");
    return {};
}

// Runs `change(lines)` on the file's lines with no other writer at work, and writes what it leaves.
// The lock is on the directory: it needs no file of its own, and outlives the rename.
template <class Change>
Result<void> edit(const std::string& path, Change change) {
    const Descriptor lock(open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!lock || flock(lock.get(), LOCK_EX) != 0) return io_error(directory_of(path), "lock");
    std::vector<std::string> lines;
    if (std::filesystem::exists(path)) {
        const auto text = read_rows(path);
        if (!text) return text.error();
        lines = split_lines(*text);
    }
    if (const Result<void> changed = change(lines); !changed) return changed;
    std::string text;
    for (const auto& line : lines) (text += line) += '\n';
    return replace_file(path, text);
}

Result<std::string> checked_login(std::string_view login) {
    auto name = normalise_login(login);
    if (name) return *name;
    return Error{Errc::invalid,
                 "'" + std::string(login) +
                     "' cannot be a login; use printable ASCII without colons and spaces"};
}

std::vector<std::string>::iterator find_row(std::vector<std::string>& lines,
                                            const std::string& login) {
    return std::find_if(lines.begin(), lines.end(),
                        [&](const std::string& line) { return login_of(line) == login; });
}

std::string random_octets(std::size_t words) {
    std::string octets;
    for (std::size_t i = 0; i < words; ++i) {
        const auto word = runtime::random_u64();
        octets.append(reinterpret_cast<const char*>(&word), sizeof word);
    }
    return octets;
}

std::string row(const std::string& login, const Verifiers& verifiers) {
    return login + ':' + verifiers.hash + (verifiers.keys ? ':' + to_text(*verifiers.keys) : "");
}

void keep_secret(std::vector<std::string>& lines, const Verifiers& verifiers) {
    const auto is_secret = [](const auto& line) { return line.starts_with(secret_mark); };
    if (!verifiers.keys || std::ranges::any_of(lines, is_secret)) return;
    lines.insert(lines.begin(),
                 std::string(secret_mark) + smtp::encode_base64(random_octets(secret_words)));
}

Error no_such_login(const std::string& login, const std::string& path) {
    return {Errc::not_found, "login '" + login + "' is not in " + path};
}

}  // namespace

std::optional<std::string> normalise_login(std::string_view login) {
    if (login.empty() || login.size() > login_bytes_max || login.starts_with('#'))
        return std::nullopt;
    std::string name;
    for (const char c : login) {
        if (c <= ' ' || c > '~' || c == ':') return std::nullopt;
        name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return name;
}

namespace {

// One row of the file into the table, or what is wrong with it.
class RowReader {
public:
    RowReader(PasswordTable& table, const std::string& file_name)
        : table_(table), file_name_(file_name) {}

    void read(std::string_view line) {
        ++number_;
        if (line.starts_with(secret_mark)) return read_secret(line.substr(secret_mark.size()));
        if (is_comment(line)) return;
        const auto login = login_of(line);
        if (!login)
            return problem(
                "is not \"login:hash\"; mend it or write it anew by `posthorse user add`");
        line.remove_prefix(line.find(':') + 1);
        const std::string hash(line.substr(0, line.find(':')));
        if (!is_known_hash(hash)) {
            problem("login '" + *login + "' has no usable hash; run `posthorse user passwd " +
                    *login + "`");
        } else if (!table_.hashes.emplace(*login, hash).second) {
            problem("login '" + *login + "' stands twice; the first row counts, remove the other");
        } else if (hash.size() < line.size()) {
            read_keys(*login, line.substr(hash.size() + 1));
        }
    }

private:
    void problem(std::string what) {
        table_.problems.push_back({file_name_, number_, std::move(what), false});
    }

    void read_secret(std::string_view text) {
        auto secret = smtp::decode_base64(text);
        if (!secret || secret->size() < secret_bytes_min)
            return problem(
                "is no secret: it must be 16 octets or more in base64; remove the line "
                "and run `posthorse user passwd` for one login");
        table_.scram_secret = std::move(*secret);
    }

    void read_keys(const std::string& login, std::string_view text) {
        auto keys = parse_scram_keys(text);
        if (keys) {
            table_.scram_keys.emplace(login, std::move(*keys));
        } else {
            problem("login '" + login + "' has unusable SCRAM keys; run `posthorse user passwd " +
                    login + "`");
        }
    }

    static constexpr std::size_t secret_bytes_min = 16;

    PasswordTable& table_;
    const std::string& file_name_;
    std::uint32_t number_ = 0;
};

// Without keys a login looks to SCRAM like one that is not there.
void look_for_gaps(PasswordTable& table, const std::string& file_name) {
    if (table.scram_keys.empty()) return;
    const auto without = table.hashes.size() - table.scram_keys.size();
    if (without > 0) {
        table.problems.push_back({file_name, 0,
                                  std::to_string(without) +
                                      " logins have no SCRAM keys: clients that choose SCRAM are "
                                      "refused; run `posthorse "
                                      "user passwd` for them, or take SCRAM out of auth.mechanisms",
                                  false});
    }
    if (!table.scram_secret.empty()) return;
    table.problems.push_back({file_name, 0,
                              "has SCRAM keys but no line \"#scram-secret:\"; run `posthorse user "
                              "passwd` for one login, which writes it",
                              false});
}

}  // namespace

PasswordTable parse_passwords(std::string_view text, const std::string& file_name) {
    PasswordTable table;
    RowReader reader(table, file_name);
    for (const auto& line : split_lines(text)) reader.read(line);
    look_for_gaps(table, file_name);
    return table;
}

Result<PasswordTable> load_passwords(const std::string& path) {
    const auto text = read_rows(path);
    if (!text) return text.error();
    return parse_passwords(*text, path);
}

Result<void> add_login(const std::string& path,
                       std::string_view login,
                       const Verifiers& verifiers) {
    const auto name = checked_login(login);
    if (!name) return name.error();
    return edit(path, [&](std::vector<std::string>& lines) -> Result<void> {
        if (find_row(lines, *name) != lines.end()) {
            return Error{Errc::conflict,
                         "login '" + *name + "' is in " + path +
                             " already; `posthorse user passwd` changes its password"};
        }
        lines.push_back(row(*name, verifiers));
        keep_secret(lines, verifiers);
        return {};
    });
}

Result<void> change_login(const std::string& path,
                          std::string_view login,
                          const Verifiers& verifiers) {
    const auto name = checked_login(login);
    if (!name) return name.error();
    return edit(path, [&](std::vector<std::string>& lines) -> Result<void> {
        const auto found = find_row(lines, *name);
        if (found == lines.end()) return no_such_login(*name, path);
        *found = row(*name, verifiers);
        keep_secret(lines, verifiers);
        return {};
    });
}

Result<void> remove_login(const std::string& path, std::string_view login) {
    const auto name = checked_login(login);
    if (!name) return name.error();
    return edit(path, [&](std::vector<std::string>& lines) -> Result<void> {
        const auto found = find_row(lines, *name);
        if (found == lines.end()) return no_such_login(*name, path);
        lines.erase(found);
        return {};
    });
}

}  // namespace posthorse::auth
