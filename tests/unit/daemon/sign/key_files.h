// A directory with keys and tables, as an operator would have it.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "daemon/sign/key_ring.h"

namespace posthorse::sign {

class KeyFiles {
public:
    KeyFiles() {
        std::string pattern = std::filesystem::temp_directory_path() / "posthorse-sign-XXXXXX";
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    ~KeyFiles() { std::filesystem::remove_all(path_); }
    KeyFiles(const KeyFiles&) = delete;
    KeyFiles& operator=(const KeyFiles&) = delete;

    std::string file(const std::string& name) const { return path_ / name; }
    std::string write(const std::string& name, std::string_view text) const {
        std::ofstream(file(name)) << text;
        std::filesystem::permissions(file(name), std::filesystem::perms{0600});
        return file(name);
    }
    // A new key under `name`, and what DNS would say of it.
    PrivateKey make_key(const std::string& name, KeyKind kind) const {
        auto key = PrivateKey::generate(kind);
        REQUIRE(key.has_value());
        write(name, key->pem());
        return *key;
    }
    KeyRing::Loaded load(std::string_view key_table, std::string_view signing_table) const {
        config::Dkim settings;
        settings.key_table = write("KeyTable", key_table);
        settings.signing_table = "refile:" + write("SigningTable", signing_table);
        return KeyRing::load(settings);
    }

private:
    std::filesystem::path path_;
};

}  // namespace posthorse::sign
