#include "replication/core/etcd_lineage.h"

namespace posthorse::replication {

std::optional<std::uint64_t> mark_of(const Lineage& lineage, PoolVersion version) {
    if (version > lineage.version) return std::nullopt;
    const auto back = lineage.version.value - version.value;
    if (back >= lineage.marks.size()) return std::nullopt;
    return lineage.marks[back];
}

Descent descent(const Lineage& known, const Lineage& heard) {
    const bool ahead = heard.version >= known.version;
    const auto& newer = ahead ? heard : known;
    const auto& older = ahead ? known : heard;
    const auto mark = mark_of(newer, older.version);
    if (!mark || older.marks.empty()) return ahead ? Descent::newer : Descent::too_far_back;
    if (*mark != older.marks.front()) return Descent::forked;
    if (heard.version == known.version) return Descent::same;
    return ahead ? Descent::newer : Descent::older;
}

std::vector<std::uint64_t> with_mark(std::uint64_t mark, std::vector<std::uint64_t> marks) {
    marks.insert(marks.begin(), mark);
    if (marks.size() > marks_max) marks.resize(marks_max);
    return marks;
}

}  // namespace posthorse::replication
