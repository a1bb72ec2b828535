// OpenDKIM's KeyTable and SigningTable, as rows.
//
// Place     Read by key_ring.h.
// Contract  Pure. A line is a key, white space and a value; '#' begins a comment.
//             KeyTable      name  domain:selector:key     key: a path, or base64 of DER
//             SigningTable  pattern  name[:signer]
//           In a refile (the default) a pattern is an address in which '*' stands for anything. In
//           a "file:" it is "user@host", "host", "user@.domain", ".domain" (every domain below),
//           "user@*" or "*". Letters of either case match. "%" stands for the sender's domain.
//           All rows that match count, in the order of the file (OpenDKIM: MultipleSignatures).
// Errors    A malformed row is skipped and named with file and line.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.h"

namespace posthorse::sign {

struct KeyRow {
    std::string domain;    // d=, or "%"
    std::string selector;  // s=
    std::string key;
    std::uint32_t line = 0;
};
struct KeyTable {
    std::map<std::string, KeyRow, std::less<>> rows;  // by name
    std::vector<config::Problem> problems;
};
KeyTable parse_key_table(std::string_view text, const std::string& file_name);

struct SigningRow {
    std::string pattern;   // lower case; '*' stands for anything
    std::string key_name;  // in the KeyTable, or "%"
    std::string signer;    // i=, may hold "%"; empty: none
    std::uint32_t line = 0;
};
struct SigningTable {
    std::vector<SigningRow> rows;
    std::vector<config::Problem> problems;
};
enum class TableKind : std::uint8_t { file, refile };
SigningTable parse_signing_table(std::string_view text,
                                 const std::string& file_name,
                                 TableKind kind);

// "refile:/etc/table" -> /etc/table, refile.
struct TableName {
    std::string path;
    TableKind kind = TableKind::refile;
};
TableName parse_table_name(std::string_view setting);

// `address` in any case.
bool matches(const SigningRow& row, std::string_view address);
// `text` with every "%" replaced by the sender's domain.
std::string expand(std::string_view text, std::string_view sender_domain);

}  // namespace posthorse::sign
