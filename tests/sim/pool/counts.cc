#include "tests/sim/pool/counts.h"

#include <array>
#include <utility>

namespace posthorse::sim::pool {
namespace {

using Field = std::uint64_t Counts::*;

constexpr std::array<std::pair<const char*, Field>, 38> fields{{
    {"accepted", &Counts::accepted},
    {"delivered", &Counts::delivered},
    {"bounced", &Counts::bounced},
    {"removed", &Counts::removed},
    {"refused", &Counts::refused},
    {"undecided", &Counts::undecided},
    {"resent", &Counts::resent},
    {"unasked", &Counts::unasked},
    {"duplicates", &Counts::duplicates},
    {"dup_lost", &Counts::dup_lost},
    {"dup_in_doubt", &Counts::dup_in_doubt},
    {"dup_power", &Counts::dup_power},
    {"dup_alone", &Counts::dup_alone},
    {"alone", &Counts::alone},
    {"dup_client", &Counts::dup_client},
    {"in_doubt", &Counts::in_doubt},
    {"told", &Counts::told},
    {"late", &Counts::late},
    {"no_dot", &Counts::no_dot},
    {"takeovers", &Counts::takeovers},
    {"widened", &Counts::widened},
    {"narrowed", &Counts::narrowed},
    {"listings", &Counts::listings},
    {"pulls", &Counts::pulls},
    {"kills", &Counts::kills},
    {"powers", &Counts::powers},
    {"pauses", &Counts::pauses},
    {"cuts", &Counts::cuts},
    {"failed_syncs", &Counts::failed_syncs},
    {"full_disks", &Counts::full_disks},
    {"damaged", &Counts::damaged},
    {"mended", &Counts::mended},
    {"new_disks", &Counts::new_disks},
    {"old_disks", &Counts::old_disks},
    {"strangers", &Counts::strangers},
    {"rolled_back", &Counts::rolled_back},
    {"leaves", &Counts::leaves},
    {"compared", &Counts::compared},
}};

}  // namespace

void Counts::add(const Counts& other) {
    for (const auto& [name, field] : fields) this->*field += other.*field;
}

std::string Counts::to_string() const {
    std::string text;
    for (const auto& [name, field] : fields)
        text += (text.empty() ? "" : ", ") + std::string(name) + " " + std::to_string(this->*field);
    return text;
}

}  // namespace posthorse::sim::pool
