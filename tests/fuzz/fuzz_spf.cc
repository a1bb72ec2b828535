#include <algorithm>
#include <string>
#include <vector>

#include "daemon/verify/dmarc.h"
#include "daemon/verify/spf_check.h"
#include "daemon/verify/spf_macro.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;
using namespace posthorse::verify;

namespace {

constexpr int questions_max = 140;

// The lines of the input are what the DNS says, in turn; an empty line is an answer that fails.
class HostileDns {
public:
    explicit HostileDns(std::string_view text) {
        while (!text.empty()) {
            const auto end = std::min(text.find('\n'), text.size());
            lines_.emplace_back(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
        }
    }

    DnsAnswer answer() {
        if (lines_.empty()) return {dns::LookupEnd::no_domain, {}, 0, {}};
        const auto& line = lines_[at_++ % lines_.size()];
        if (line.empty()) return {};
        if (line == "-") return {dns::LookupEnd::no_data, {}, 0, {}};
        return {dns::LookupEnd::found, std::vector<std::string>(line.size() % 12, line), 0, {}};
    }
    const std::vector<std::string>& lines() const { return lines_; }

private:
    std::vector<std::string> lines_;
    std::size_t at_ = 0;
};

void check_macros(const std::string& text, const SpfMacroFacts& facts) {
    if (!is_macro_string(text)) return;
    const auto name = expand_domain(text, facts);
    if (!name) return;
    PH_ASSERT(name->size() <= 253);
    PH_ASSERT(std::ranges::all_of(*name, [](char c) { return c >= ' ' && c <= '~' && c != '\\'; }));
}

void check_record(const std::string& text) {
    if (!is_spf_record(text)) return;
    const auto record = parse_spf_record(text);
    if (!record) return;
    for (const auto& mechanism : record->mechanisms) {
        PH_ASSERT(mechanism.v4_bits <= 32 && mechanism.v6_bits <= 128);
        PH_ASSERT(mechanism.domain.empty() || is_macro_string(mechanism.domain));
    }
}

// Whatever the DNS says, a check ends, within its number of questions.
void check_end(HostileDns dns, const SpfFacts& facts) {
    DnsAnswers answers;
    for (int asked = 0;; ++asked) {
        const auto step = check_spf(facts, answers);
        const auto* question = std::get_if<DnsQuestion>(&step);
        if (question == nullptr) return;
        PH_ASSERT(asked < questions_max);
        PH_ASSERT(answers.emplace(*question, dns.answer()).second);
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const HostileDns dns(fuzz::as_text(data, size));
    const std::string local = dns.lines().empty() ? "x" : dns.lines().front();
    for (const char* client : {"192.0.2.1", "2001:db8::1"}) {
        const auto address = *parse_ip_address(client);
        const SpfMacroFacts facts{local, "a.example", "a.example", local, "unknown", address};
        for (const auto& line : dns.lines()) {
            check_macros(line, facts);
            check_record(line);
            if (is_dmarc_record(line)) static_cast<void>(parse_dmarc_record(line));
        }
        check_end(dns, {address, client, local, local, "a.example"});
    }
    return 0;
}
