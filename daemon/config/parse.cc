// TOML text -> Config, with every fault at once: the reading visitor of schema.h.
#include <limits>
#include <map>

#include <toml++/toml.h>

#include "daemon/config/config.h"
#include "daemon/config/schema.h"
#include "daemon/config/suggestion.h"
#include "daemon/config/units.h"
#include "daemon/config/validate.h"

namespace posthorse::config {
namespace {

// What all readers of one file share.
struct Findings {
    std::string file;
    std::vector<Problem> problems;
    std::map<std::string, std::uint32_t> lines;  // of the settings that the file holds

    void add(std::uint32_t line, std::string what) {
        problems.push_back({file, line, std::move(what), true});
    }
};

std::uint32_t line_of(const toml::node& node) {
    return node.source().begin.line;
}

std::string quoted_list(const std::vector<std::string_view>& words) {
    std::string list;
    for (const auto word : words) {
        if (!list.empty()) list += word == words.back() ? " or " : ", ";
        ((list += '"') += word) += '"';
    }
    return list;
}

// Reads one table of the file. `prefix` is its key with a dot: "queue.", "listener.0.".
class Reader {
public:
    Reader(const toml::table& table, std::string prefix, Findings& findings)
        : table_(table), prefix_(std::move(prefix)), findings_(findings) {}

    template <class T>
    void value(std::string_view key, T& member, const Rule& rule) {
        const auto* node = take(key);
        if (node == nullptr) {
            if (rule.required) complain(table_, key, "is missing; add it");
            return;
        }
        read(*node, key, member, rule);
    }

    template <class T>
    void section(std::string_view key, T& member) {
        const auto* node = take(key);
        if (node == nullptr) return;
        if (const auto* table = node->as_table()) {
            Reader inner(*table, name_of(key) + '.', findings_);
            describe(inner, member);
            inner.refuse_unknown();
        } else {
            complain(*node, key,
                     "is a section; write [" + name_of(key) + "] and its settings below");
        }
    }

    template <class T>
    void list(std::string_view key, std::vector<T>& members) {
        const auto* node = take(key);
        if (node == nullptr) return;
        const auto* array = node->as_array();
        if (array == nullptr || !array->is_array_of_tables()) {
            complain(*node, key,
                     "may stand several times; write [[" + name_of(key) + "]] for each");
            return;
        }
        members.clear();
        for (const auto& element : *array) {
            auto& member = members.emplace_back();
            Reader inner(*element.as_table(),
                         name_of(key) + '.' + std::to_string(members.size() - 1) + '.', findings_);
            describe(inner, member);
            inner.refuse_unknown();
        }
    }

    // Call after describe(): all keys that it did not take are mistakes.
    void refuse_unknown() {
        for (const auto& [key, node] : table_) {
            if (std::find(known_.begin(), known_.end(), key.str()) != known_.end()) continue;
            const auto near = nearest(key.str(), known_);
            complain(node, key.str(),
                     near.empty() ? "is no setting; remove it (posthorse.example.toml has them all)"
                                  : "is no setting; did you mean '" + near + "'?");
        }
    }

private:
    const toml::node* take(std::string_view key) {
        known_.emplace_back(key);
        const auto* node = table_.get(key);
        if (node != nullptr) findings_.lines[name_of(key)] = line_of(*node);
        return node;
    }

    std::string name_of(std::string_view key) const { return prefix_ + std::string(key); }

    void complain(const toml::node& where, std::string_view key, const std::string& what) {
        findings_.add(line_of(where), name_of(key) + ' ' + what);
    }

    void read(const toml::node& node, std::string_view key, bool& member, const Rule&) {
        if (const auto* flag = node.as_boolean()) {
            member = flag->get();
        } else {
            complain(node, key, "must be true or false, without quotes");
        }
    }

    void read(const toml::node& node, std::string_view key, std::string& member, const Rule& rule) {
        const auto* text = node.as_string();
        if (text == nullptr) return complain(node, key, "must be a string in quotes");
        if (text->get().empty() && rule.required)
            return complain(node, key, "is empty; give it a value");
        const auto& words = rule.one_of;
        if (!words.empty() && std::find(words.begin(), words.end(), text->get()) == words.end()) {
            return complain(node, key,
                            "is '" + text->get() + "'; it must be " + quoted_list(words));
        }
        member = text->get();
    }

    void read(const toml::node& node,
              std::string_view key,
              ListenerKind& member,
              const Rule& rule) {
        std::string text;
        read(node, key, text, rule);
        for (const auto& [kind, name] : listener_kind_names) {
            if (name == text) member = kind;
        }
    }

    void read(const toml::node& node,
              std::string_view key,
              std::vector<std::string>& member,
              const Rule& rule) {
        const auto* array = node.as_array();
        if (array == nullptr) return complain(node, key, "must be a list: [\"one\", \"two\"]");
        member.clear();
        for (const auto& element : *array) {
            if (!element.is_string()) {
                complain(element, key, "must hold strings in quotes only");
            } else {
                read(element, key, member.emplace_back(), Rule{.one_of = rule.one_of});
            }
        }
    }

    void read(const toml::node& node, std::string_view key, Duration& member, const Rule& rule) {
        const auto* text = node.as_string();
        const auto duration = text == nullptr ? std::nullopt : parse_duration(text->get());
        if (!duration) {
            return complain(node, key,
                            "must be a duration in quotes: \"90s\", \"5m\", \"1h30m\", \"4d\"");
        }
        const auto count = static_cast<std::uint64_t>(duration->count());
        if (!within(node, key, count, rule, [](std::uint64_t milliseconds) {
                return format_duration(Duration{static_cast<Duration::rep>(milliseconds)});
            })) {
            return;
        }
        member = *duration;
    }

    void read(const toml::node& node,
              std::string_view key,
              std::uint64_t& member,
              const Rule& rule) {
        std::optional<std::uint64_t> bytes;
        if (const auto* text = node.as_string()) bytes = parse_size(text->get());
        if (const auto* number = node.as_integer(); number != nullptr && number->get() >= 0) {
            bytes = static_cast<std::uint64_t>(number->get());
        }
        if (!bytes) return complain(node, key, "must be a size: 52428800, \"50MB\" or \"256MiB\"");
        if (within(node, key, *bytes, rule, format_size)) member = *bytes;
    }

    template <std::unsigned_integral Count>
    void read(const toml::node& node, std::string_view key, Count& member, const Rule& rule) {
        const auto* number = node.as_integer();
        if (number == nullptr || number->get() < 0) {
            return complain(node, key, "must be a whole number, without quotes");
        }
        const auto count = static_cast<std::uint64_t>(number->get());
        Rule fitting = rule;
        fitting.max = std::min<std::uint64_t>(rule.max, std::numeric_limits<Count>::max());
        const auto text_of = [](std::uint64_t value) { return std::to_string(value); };
        if (within(node, key, count, fitting, text_of)) member = static_cast<Count>(count);
    }

    template <class Format>
    bool within(const toml::node& node,
                std::string_view key,
                std::uint64_t value,
                const Rule& rule,
                Format text_of) {
        if (value >= rule.min && value <= rule.max) return true;
        const bool low = value < rule.min;
        complain(node, key,
                 "is " + text_of(value) + "; it must be at " + (low ? "least " : "most ") +
                     text_of(low ? rule.min : rule.max));
        return false;
    }

    const toml::table& table_;
    std::string prefix_;
    Findings& findings_;
    std::vector<std::string> known_;
};

// The line of `key`, or of the nearest thing around it that the file holds.
std::uint32_t line_near(const Findings& findings, std::string key) {
    while (!key.empty()) {
        if (const auto found = findings.lines.find(key); found != findings.lines.end()) {
            return found->second;
        }
        const auto dot = key.rfind('.');
        key.erase(dot == std::string::npos ? 0 : dot);
    }
    return 0;
}

}  // namespace

Loaded parse(std::string_view text, const std::string& file_name) {
    Loaded loaded;
    Findings findings{file_name, {}, {}};
    try {
        const auto table = toml::parse(text, file_name);
        Reader reader(table, {}, findings);
        describe(reader, loaded.config);
        reader.refuse_unknown();
    } catch (const toml::parse_error& error) {
        findings.add(error.source().begin.line,
                     std::string(error.description()) + "; mend the TOML syntax");
    }
    if (loaded.config.listeners.empty()) loaded.config.listeners = default_listeners();
    for (auto& fault : validate(loaded.config)) {
        findings.add(line_near(findings, fault.key), fault.key + ' ' + fault.what);
    }
    loaded.problems = std::move(findings.problems);
    return loaded;
}

}  // namespace posthorse::config
