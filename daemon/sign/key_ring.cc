#include "daemon/sign/key_ring.h"

#include <sys/stat.h>

#include <algorithm>

#include "daemon/runtime/read_file.h"

namespace posthorse::sign {
namespace {

using config::Problem;

// A table that cannot be read at all must not turn into "sign nothing": the caller keeps the ring
// of before, or does not start.
Result<std::string> read_table(const std::string& path) {
    auto text = runtime::read_file(path);
    if (text) return text;
    return Error{Errc::unavailable, "cannot be read: " + text.error().what};
}

bool is_path(const std::string& key) {
    return key.starts_with('/') || key.starts_with("./") || key.starts_with("../");
}

Result<PrivateKey> read_key(const std::string& location) {
    if (!is_path(location)) return PrivateKey::from_base64_der(location);
    if (location.find('%') != std::string::npos) {
        return Error{Errc::invalid, "a key's path cannot hold '%'; write one row for each domain"};
    }
    return PrivateKey::read(location);
}

// OpenDKIM's RequireSafeKeys, as a warning: the mail is better signed than not.
bool others_may_read(const std::string& location) {
    struct stat status{};
    return is_path(location) && stat(location.c_str(), &status) == 0 &&
           (status.st_mode & 0007) != 0;
}

void move_to_end(std::vector<Problem>& from, std::vector<Problem>& to) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

KeyRing::Loaded KeyRing::load(const config::Dkim& settings) {
    auto ring = std::make_shared<KeyRing>();
    Loaded loaded;
    if (settings.key_table.empty() && settings.signing_table.empty()) return {ring, {}};
    const auto key_name = parse_table_name(settings.key_table);
    const auto signing_name = parse_table_name(settings.signing_table);
    const auto keys = read_table(key_name.path);
    const auto signing = read_table(signing_name.path);
    if (!keys) loaded.problems.push_back({key_name.path, 0, keys.error().what, true});
    if (!signing) loaded.problems.push_back({signing_name.path, 0, signing.error().what, true});
    if (!keys || !signing) return loaded;

    ring->read_keys(parse_key_table(*keys, key_name.path), key_name.path, loaded.problems);
    auto table = parse_signing_table(*signing, signing_name.path, signing_name.kind);
    move_to_end(table.problems, loaded.problems);
    ring->rows_ = std::move(table.rows);
    ring->check_names(signing_name.path, loaded.problems);
    loaded.ring = std::move(ring);
    return loaded;
}

void KeyRing::read_keys(KeyTable table, const std::string& file, std::vector<Problem>& problems) {
    move_to_end(table.problems, problems);
    for (auto& [name, row] : table.rows) {
        auto key = read_key(row.key);
        if (!key) {
            problems.push_back({file, row.line,
                                key.error().what + "; mail that key '" + name +
                                    "' must sign is answered 451 until this is mended",
                                false});
        }
        if (others_may_read(row.key)) {
            problems.push_back(
                {file, row.line,
                 "key '" + row.key + "' can be read by every user; take that away by chmod o=",
                 false});
        }
        keys_.emplace(name, Entry{std::move(row), std::move(key)});
    }
}

void KeyRing::check_names(const std::string& file, std::vector<Problem>& problems) const {
    for (const auto& row : rows_) {
        if (row.key_name == "%" || keys_.contains(row.key_name)) continue;
        problems.push_back({file, row.line,
                            "key '" + row.key_name + "' is not in the KeyTable; mail from '" +
                                row.pattern + "' is answered 451 until this is mended",
                            false});
    }
}

Result<Identity> KeyRing::identity(const SigningRow& row, std::string_view domain) const {
    const auto name = expand(row.key_name, domain);
    const auto found = keys_.find(name);
    if (found == keys_.end()) {
        return Error{Errc::unavailable, "DKIM key '" + name + "' is not in the KeyTable"};
    }
    const auto& entry = found->second;
    if (!entry.key)
        return Error{Errc::unavailable, "DKIM key '" + name + "': " + entry.key.error().what};
    return Identity{&*entry.key, expand(entry.row.domain, domain), entry.row.selector,
                    expand(row.signer, domain)};
}

Result<std::vector<Identity>> KeyRing::select(std::string_view address) const {
    const auto at = address.rfind('@');
    const auto domain = at == std::string_view::npos ? std::string_view() : address.substr(at + 1);
    std::vector<Identity> chosen;
    for (const auto& row : rows_) {
        if (!matches(row, address)) continue;
        auto one = identity(row, domain);
        if (!one) return one.error();
        const bool twice = std::any_of(chosen.begin(), chosen.end(), [&](const Identity& other) {
            return other.domain == one->domain && other.selector == one->selector;
        });
        if (!twice) chosen.push_back(std::move(*one));
    }
    return chosen;
}

std::size_t KeyRing::usable_key_count() const {
    return static_cast<std::size_t>(
        std::count_if(keys_.begin(), keys_.end(),
                      [](const auto& entry) { return entry.second.key.has_value(); }));
}

}  // namespace posthorse::sign
