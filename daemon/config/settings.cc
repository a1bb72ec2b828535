// Writes a Config out as text, setting by setting: for comparisons and for people.
#include <type_traits>

#include "daemon/config/config.h"
#include "daemon/config/schema.h"
#include "daemon/config/units.h"

namespace posthorse::config {
namespace {

std::string text_of(bool value) {
    return value ? "true" : "false";
}
std::string text_of(Duration value) {
    return format_duration(value);
}
std::string text_of(std::uint64_t bytes) {
    return format_size(bytes);
}
std::string text_of(std::uint32_t count) {
    return std::to_string(count);
}
std::string text_of(std::uint16_t port) {
    return std::to_string(port);
}
std::string text_of(const std::string& value) {
    return value;
}

std::string text_of(const std::vector<std::string>& values) {
    std::string joined;
    for (const auto& value : values) (joined += joined.empty() ? "" : ", ") += value;
    return joined;
}

std::string text_of(ListenerKind kind) {
    for (const auto& [value, name] : listener_kind_names) {
        if (value == kind) return std::string(name);
    }
    return {};
}

class Writer {
public:
    Writer(std::string prefix, std::vector<Setting>& out) : prefix_(std::move(prefix)), out_(out) {}

    template <class T>
    void value(std::string_view key, T& member, const Rule&) {
        out_.push_back({prefix_ + std::string(key), text_of(member)});
    }
    template <class T>
    void section(std::string_view key, T& member) {
        Writer inner(prefix_ + std::string(key) + '.', out_);
        describe(inner, member);
    }
    template <class T>
    void list(std::string_view key, std::vector<T>& members) {
        std::size_t index = 0;
        for (auto& member : members) {
            Writer inner(prefix_ + std::string(key) + '.' + std::to_string(index++) + '.', out_);
            describe(inner, member);
        }
    }

private:
    std::string prefix_;
    std::vector<Setting>& out_;
};

bool contains(const std::vector<Setting>& all, const Setting& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

std::vector<Setting> settings(const Config& config) {
    Config copy = config;  // a visitor may write, this one does not
    std::vector<Setting> all;
    Writer writer({}, all);
    describe(writer, copy);
    return all;
}

std::vector<std::string> changed_keys(const Config& before, const Config& after) {
    const auto old_settings = settings(before);
    const auto new_settings = settings(after);
    std::vector<std::string> keys;
    for (const auto& setting : new_settings) {
        if (!contains(old_settings, setting)) keys.push_back(setting.key);
    }
    for (const auto& setting : old_settings) {
        const bool reported = std::find(keys.begin(), keys.end(), setting.key) != keys.end();
        if (!reported && !contains(new_settings, setting)) keys.push_back(setting.key);
    }
    return keys;
}

}  // namespace posthorse::config
