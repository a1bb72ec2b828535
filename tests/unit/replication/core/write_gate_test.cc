#include "replication/core/write_gate.h"

#include <doctest/doctest.h>

#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;

namespace {

ControlRecord in_term(std::uint64_t term) {
    ControlRecord record;
    record.self = test_node(1);
    record.agreement.current_term = {term};
    return record;
}

std::vector<Outgoing> messages(const std::vector<std::uint64_t>& terms) {
    std::vector<Outgoing> out;
    for (const auto term : terms) out.push_back({"", {}, StartJoin{{term}}});
    return out;
}

struct Gate {
    // Which messages have left, by their terms.
    std::vector<std::uint64_t> left;
    WriteGate gate{in_term(0)};

    // The term of the record to write; 0: none.
    std::uint64_t step(std::uint64_t term, const std::vector<std::uint64_t>& depending = {}) {
        std::vector<Outgoing> released;
        const auto write = gate.step(in_term(term), messages(depending), released);
        take(released);
        return write ? write->agreement.current_term.value : 0;
    }
    std::uint64_t written() {
        std::vector<Outgoing> released;
        const auto write = gate.written(released);
        take(released);
        return write ? write->agreement.current_term.value : 0;
    }
    void take(const std::vector<Outgoing>& released) {
        for (const auto& one : released)
            left.push_back(std::get<StartJoin>(one.message).term.value);
    }
};

using Terms = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("what depends on nothing new leaves at once, and nothing is written") {
    Gate gate;
    CHECK(gate.step(0, {7, 8}) == 0);
    CHECK(gate.left == Terms{7, 8});
}

TEST_CASE("a message waits for the record that it depends on") {
    Gate gate;
    CHECK(gate.step(1, {1}) == 1);
    CHECK(gate.left.empty());
    CHECK(gate.gate.on_disk() == in_term(0));
    CHECK(gate.written() == 0);
    CHECK(gate.left == Terms{1});
    CHECK(gate.gate.on_disk() == in_term(1));
    CHECK(gate.step(1, {2}) == 0);
    CHECK(gate.left == Terms{1, 2});
}

TEST_CASE("later messages wait too, though their own step changed nothing") {
    Gate gate;
    gate.step(1);
    CHECK(gate.step(1, {5}) == 0);
    CHECK(gate.left.empty());
    gate.written();
    CHECK(gate.left == Terms{5});
}

TEST_CASE("one write at a time; the next one has all that changed meanwhile") {
    Gate gate;
    CHECK(gate.step(1, {1}) == 1);
    CHECK(gate.step(2, {2}) == 0);
    CHECK(gate.step(3, {3}) == 0);
    CHECK(gate.written() == 3);
    CHECK(gate.left == Terms{1});  // the disk knows of no later step yet
    CHECK(gate.step(4, {4}) == 0);
    CHECK(gate.written() == 4);
    CHECK(gate.left == Terms{1, 2, 3});
    CHECK(gate.written() == 0);
    CHECK(gate.left == Terms{1, 2, 3, 4});
}

TEST_CASE("a record that goes back to what is being written is written again") {
    Gate gate;
    CHECK(gate.step(1) == 1);
    gate.step(2);
    CHECK(gate.step(1, {9}) == 0);
    CHECK(gate.written() == 1);
    CHECK(gate.left.empty());
    CHECK(gate.written() == 0);
    CHECK(gate.left == Terms{9});
}
