#include "replication/core/coordination_fsm.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::replication;

namespace {

NodeId node(std::uint8_t number) {
    NodeId id;
    id.bytes.fill(number);
    return id;
}

const NodeId a = node(1), b = node(2), c = node(3), stranger = node(9);
const Configuration abc{{a, b, c}}, ab{{a, b}}, bc{{b, c}}, only_a{{a}}, nobody{};

// Opaque to the machine, so an address is all of it.
Value value(int number) {
    const auto owner = std::make_shared<int>(number);
    return Value(owner, reinterpret_cast<const PoolState*>(owner.get()));
}
const Value x = value(1), y = value(2);

Place place(std::uint64_t term, std::uint64_t version) {
    return {Term{term}, PoolVersion{version}};
}
Join join_of(std::uint64_t term, std::uint64_t accepted_term, std::uint64_t accepted_version) {
    return {Term{term}, Term{accepted_term}, PoolVersion{accepted_version}};
}
Published publication(const Place& at,
                      const Configuration& configuration = abc,
                      const Configuration& committed = abc) {
    return {at.term, at.version, x, configuration, committed};
}
Durable remembers(std::uint64_t term, const Published& accepted) {
    return {Term{term}, accepted};
}
Durable fresh(const Configuration& configuration = abc) {
    return remembers(0, {Term{0}, PoolVersion{0}, nullptr, configuration, configuration});
}

struct Snapshot {
    Durable durable;
    CoordinationFsm::Unsaved unsaved;
    explicit Snapshot(const CoordinationFsm& fsm)
        : durable(fsm.durable()), unsaved(fsm.unsaved()) {}
    bool operator==(const Snapshot&) const = default;
};

// In a term of its own, joined by `voters` that know nothing newer.
CoordinationFsm leader(Durable durable, const std::vector<NodeId>& voters) {
    CoordinationFsm fsm(std::move(durable));
    const Term term{fsm.term().value + 1};
    REQUIRE(fsm.start_join(term).has_value());
    for (const auto& voter : voters) REQUIRE(fsm.join(voter, {term, Term{0}, PoolVersion{0}}));
    REQUIRE(fsm.elected());
    return fsm;
}

Published published(CoordinationFsm& fsm, const Value& what, const Configuration& configuration) {
    auto publication = fsm.propose(what, configuration);
    REQUIRE(publication.has_value());
    return *publication;
}

// Proposes, accepts its own, and counts `voters`: what the last of them brought about.
std::optional<Place> agree(CoordinationFsm& fsm,
                           const Configuration& configuration,
                           const std::vector<NodeId>& voters) {
    const auto place = fsm.accept(published(fsm, x, configuration));
    REQUIRE(place.has_value());
    std::optional<Place> answer;
    for (const auto& voter : voters) answer = fsm.accepted_by(voter, *place);
    return answer;
}

}  // namespace

TEST_CASE("a majority is more than half of those who vote, and nobody else counts") {
    CHECK(abc.is_majority({a, b}));
    CHECK_FALSE(abc.is_majority({a}));
    CHECK_FALSE(abc.is_majority({a, stranger}));
    CHECK_FALSE(ab.is_majority({a}));
    CHECK(ab.is_majority({a, b}));
    CHECK(only_a.is_majority({a}));
    CHECK_FALSE(only_a.is_majority({b, c}));
    CHECK_FALSE(Configuration{{a, b, c, stranger}}.is_majority({a, b}));
}

TEST_CASE("without voters there is never a majority") {
    CHECK_FALSE(nobody.is_majority({}));
    CHECK_FALSE(nobody.is_majority({a, b, c}));
}

TEST_CASE("contains finds exactly the voters") {
    CHECK(abc.contains(a));
    CHECK(abc.contains(c));
    CHECK_FALSE(ab.contains(c));
    CHECK_FALSE(nobody.contains(a));
}

TEST_CASE("one or two voters need each; of three or more none is needed") {
    CHECK(only_a.needs(a));
    CHECK(ab.needs(a));
    CHECK_FALSE(abc.needs(a));
    CHECK_FALSE(Configuration{{a, b, c, stranger}}.needs(a));
    CHECK_FALSE(ab.needs(c));
    CHECK_FALSE(nobody.needs(a));
}

TEST_CASE("a new machine remembers what it was given, and nothing else") {
    const auto durable = remembers(4, publication(place(3, 7), ab));
    const CoordinationFsm fsm(durable);
    CHECK(fsm.durable() == durable);
    CHECK(fsm.term() == Term{4});
    CHECK(fsm.accepted() == place(3, 7));
    CHECK_FALSE(fsm.elected());
    CHECK(fsm.unsaved() == CoordinationFsm::Unsaved{});
}

TEST_CASE("start_join adopts a higher term and tells what this node has") {
    CoordinationFsm fsm(remembers(4, publication(place(3, 7))));
    CHECK(fsm.start_join(Term{6}) == join_of(6, 3, 7));
    CHECK(fsm.term() == Term{6});
    CHECK(fsm.accepted() == place(3, 7));
}

TEST_CASE("start_join refuses its own term and lower ones: one vote a term") {
    CoordinationFsm fsm(remembers(4, publication(place(3, 7))));
    const Snapshot before(fsm);
    CHECK_FALSE(fsm.start_join(Term{4}).has_value());
    CHECK_FALSE(fsm.start_join(Term{3}).has_value());
    CHECK(Snapshot(fsm) == before);
}

TEST_CASE("start_join ends a leadership and forgets votes and publication") {
    auto fsm = leader(fresh(), {a, b});
    published(fsm, x, abc);
    REQUIRE(fsm.start_join(Term{2}).has_value());
    CoordinationFsm::Unsaved entered;
    entered.entered_term = true;
    CHECK(fsm.unsaved() == entered);
}

TEST_CASE("a majority of Joins elects, its own among them or not") {
    CoordinationFsm fsm(fresh());
    REQUIRE(fsm.start_join(Term{1}).has_value());
    CHECK(fsm.join(c, join_of(1, 0, 0)));
    CHECK_FALSE(fsm.elected());
    CHECK(fsm.join(b, join_of(1, 0, 0)));
    CHECK(fsm.elected());
    CHECK(fsm.joined() == std::vector{b, c});
}

TEST_CASE("one voter's Join counts once, however often it arrives") {
    CoordinationFsm fsm(fresh());
    REQUIRE(fsm.start_join(Term{1}).has_value());
    CHECK(fsm.join(a, join_of(1, 0, 0)));
    CHECK(fsm.join(a, join_of(1, 0, 0)));
    CHECK(fsm.joined() == std::vector{a});
    CHECK_FALSE(fsm.elected());
}

TEST_CASE("a Join of someone without a vote is kept but does not elect") {
    CoordinationFsm fsm(fresh(ab));
    REQUIRE(fsm.start_join(Term{1}).has_value());
    CHECK(fsm.join(a, join_of(1, 0, 0)));
    CHECK(fsm.join(c, join_of(1, 0, 0)));
    CHECK_FALSE(fsm.elected());
}

TEST_CASE("a Join of another term is refused") {
    CoordinationFsm fsm(fresh());
    REQUIRE(fsm.start_join(Term{2}).has_value());
    const Snapshot before(fsm);
    CHECK_FALSE(fsm.join(b, join_of(1, 0, 0)));
    CHECK_FALSE(fsm.join(b, join_of(3, 0, 0)));
    CHECK(Snapshot(fsm) == before);
}

TEST_CASE("a Join of a term from before the restart is refused") {
    CoordinationFsm fsm(remembers(2, publication(place(1, 1))));
    const Snapshot before(fsm);
    CHECK_FALSE(fsm.join(b, join_of(2, 0, 0)));
    CHECK(Snapshot(fsm) == before);
}

TEST_CASE("a Join of a voter that has something newer is refused") {
    CoordinationFsm fsm(remembers(3, publication(place(2, 5))));
    REQUIRE(fsm.start_join(Term{4}).has_value());
    const Snapshot before(fsm);
    CHECK_FALSE(fsm.join(b, join_of(4, 2, 6)));
    CHECK_FALSE(fsm.join(b, join_of(4, 3, 1)));  // the term comes first
    CHECK(Snapshot(fsm) == before);
    CHECK(fsm.join(b, join_of(4, 2, 5)));
    CHECK(fsm.join(c, join_of(4, 1, 9)));
}

TEST_CASE("while a configuration is in flight, both must elect") {
    CoordinationFsm fsm(remembers(1, publication(place(1, 1), ab, abc)));
    CHECK_FALSE(fsm.is_quorum({b, c}));  // of the committed one alone
    CHECK_FALSE(fsm.is_quorum({a}));
    CHECK(fsm.is_quorum({a, b}));
    REQUIRE(fsm.start_join(Term{2}).has_value());
    CHECK(fsm.join(b, join_of(2, 0, 0)));
    CHECK(fsm.join(c, join_of(2, 0, 0)));
    CHECK_FALSE(fsm.elected());
    CHECK(fsm.join(a, join_of(2, 1, 1)));
    CHECK(fsm.elected());
}

TEST_CASE("the accepted configuration alone does not elect either") {
    CoordinationFsm fsm(remembers(1, publication(place(1, 1), only_a, abc)));
    REQUIRE(fsm.start_join(Term{2}).has_value());
    CHECK(fsm.join(a, join_of(2, 1, 1)));
    CHECK_FALSE(fsm.elected());
}

TEST_CASE("who votes for nobody cannot be elected") {
    CoordinationFsm fsm(fresh(nobody));
    REQUIRE(fsm.start_join(Term{1}).has_value());
    for (const auto& voter : {a, b, c}) CHECK(fsm.join(voter, join_of(1, 0, 0)));
    CHECK_FALSE(fsm.elected());
}

TEST_CASE("a late Join of an elected leader counts for what comes and restarts nothing") {
    auto fsm = leader(fresh(ab), {a, b});
    const auto first = published(fsm, x, ab);
    REQUIRE(fsm.accept(first).has_value());
    CHECK(fsm.join(c, join_of(1, 0, 0)));
    CHECK(fsm.unsaved().published == PoolVersion{1});
    CHECK(fsm.joined() == std::vector{a, b, c});
}

TEST_CASE("a leader publishes the next version in its own term") {
    auto fsm = leader(remembers(4, publication(place(3, 7))), {a, b});
    const auto publication = fsm.propose(y, abc);
    CHECK(publication == Published{Term{5}, PoolVersion{8}, y, abc, abc});
    CHECK(fsm.accepted() == place(3, 7));  // to be accepted like any other
}

TEST_CASE("who is not elected publishes nothing") {
    CoordinationFsm fsm(fresh());
    CHECK_FALSE(fsm.propose(x, abc).has_value());
    REQUIRE(fsm.start_join(Term{1}).has_value());
    const Snapshot before(fsm);
    CHECK_FALSE(fsm.may_propose(abc));
    CHECK_FALSE(fsm.propose(x, abc).has_value());
    CHECK(Snapshot(fsm) == before);
}

TEST_CASE("the next value waits until the leader accepted its last") {
    auto fsm = leader(fresh(), {a, b});
    const auto first = published(fsm, x, abc);
    const Snapshot before(fsm);
    CHECK_FALSE(fsm.propose(y, abc).has_value());
    CHECK(Snapshot(fsm) == before);
    REQUIRE(fsm.accept(first).has_value());
    CHECK(published(fsm, y, abc).version == PoolVersion{2});
}

TEST_CASE("the next value need not wait until the last is committed") {
    auto fsm = leader(fresh(), {a, b});
    agree(fsm, abc, {a});
    CHECK(fsm.may_propose(abc));
}

TEST_CASE("a new configuration names the committed one that it comes after") {
    auto fsm = leader(fresh(), {a, b});
    CHECK(published(fsm, x, ab) == Published{Term{1}, PoolVersion{1}, x, ab, abc});
}

TEST_CASE("a new configuration waits until a majority of it has joined") {
    auto fsm = leader(fresh(only_a), {a});
    const Snapshot before(fsm);
    CHECK_FALSE(fsm.may_propose(ab));
    CHECK_FALSE(fsm.propose(x, ab).has_value());
    CHECK(Snapshot(fsm) == before);
    REQUIRE(fsm.join(b, join_of(1, 0, 0)));
    CHECK(fsm.may_propose(ab));
}

TEST_CASE("a new configuration waits while another is in flight") {
    auto fsm = leader(fresh(), {a, b});
    const auto committed = agree(fsm, ab, {a, b});
    REQUIRE(committed.has_value());
    CHECK(fsm.may_propose(ab));  // the same again is no other
    CHECK_FALSE(fsm.may_propose(only_a));
    CHECK_FALSE(fsm.may_propose(abc));
    REQUIRE(fsm.commit(*committed));
    CHECK(fsm.may_propose(only_a));
    CHECK(fsm.may_propose(abc));
}

TEST_CASE("a configuration of nobody is never published") {
    auto fsm = leader(fresh(), {a, b, c});
    CHECK_FALSE(fsm.may_propose(nobody));
}

TEST_CASE("a publication of the node's own term is accepted whole") {
    CoordinationFsm fsm(fresh());
    REQUIRE(fsm.start_join(Term{2}).has_value());
    const auto publication = Published{Term{2}, PoolVersion{1}, y, ab, abc};
    CHECK(fsm.accept(publication) == place(2, 1));
    CHECK(fsm.durable() == remembers(2, publication));
}

TEST_CASE("a restarted node accepts in the term that it remembers") {
    CoordinationFsm fsm(remembers(2, publication(place(1, 1))));
    CHECK(fsm.accept(publication(place(2, 2))) == place(2, 2));
}

TEST_CASE("a publication of another term is refused") {
    CoordinationFsm fsm(remembers(2, publication(place(1, 1))));
    const Snapshot before(fsm);
    CHECK_FALSE(fsm.accept(publication(place(1, 2))).has_value());
    CHECK_FALSE(fsm.accept(publication(place(3, 2))).has_value());
    CHECK(Snapshot(fsm) == before);
}

TEST_CASE("within a term only what is newer is accepted") {
    CoordinationFsm fsm(remembers(2, publication(place(2, 5))));
    const Snapshot before(fsm);
    CHECK_FALSE(fsm.accept(publication(place(2, 5))).has_value());
    CHECK_FALSE(fsm.accept(publication(place(2, 4))).has_value());
    CHECK(Snapshot(fsm) == before);
    CHECK(fsm.accept(publication(place(2, 7))) == place(2, 7));
}

TEST_CASE("a lower version of a newer term replaces what was never committed") {
    CoordinationFsm fsm(remembers(2, publication(place(1, 9))));
    CHECK(fsm.accept(publication(place(2, 3))) == place(2, 3));
    CHECK(fsm.accepted() == place(2, 3));
}

TEST_CASE("what a majority accepted is committed, and every further acceptance says so again") {
    auto fsm = leader(fresh(), {a, b});
    REQUIRE(fsm.accept(published(fsm, x, abc)) == place(1, 1));
    CHECK_FALSE(fsm.accepted_by(a, place(1, 1)).has_value());
    CHECK_FALSE(fsm.accepted_by(a, place(1, 1)).has_value());  // the same one twice is one
    CHECK(fsm.accepted_by(c, place(1, 1)) == place(1, 1));
    CHECK(fsm.accepted_by(b, place(1, 1)) == place(1, 1));
}

TEST_CASE("others commit what the leader has not accepted itself") {
    auto fsm = leader(fresh(), {a, b});
    published(fsm, x, abc);
    CHECK_FALSE(fsm.accepted_by(b, place(1, 1)).has_value());
    CHECK(fsm.accepted_by(c, place(1, 1)) == place(1, 1));
    CHECK(fsm.accepted() == place(0, 0));
    CHECK_FALSE(fsm.may_propose(abc));
}

TEST_CASE("acceptances of anything but the last publication are refused") {
    auto fsm = leader(fresh(), {a, b});
    agree(fsm, abc, {a});
    published(fsm, y, abc);
    const Snapshot before(fsm);
    for (const auto& other : {place(1, 1), place(1, 3), place(0, 2), place(2, 2)})
        CHECK_FALSE(fsm.accepted_by(b, other).has_value());
    CHECK(Snapshot(fsm) == before);
}

TEST_CASE("acceptances of the last value do not count for the next") {
    auto fsm = leader(fresh(), {a, b});
    agree(fsm, abc, {a, b});
    CHECK_FALSE(agree(fsm, abc, {c}).has_value());
}

TEST_CASE("who leads no more counts no acceptances") {
    auto fsm = leader(fresh(), {a, b});
    published(fsm, x, abc);
    REQUIRE(fsm.start_join(Term{2}).has_value());
    const Snapshot before(fsm);
    CHECK_FALSE(fsm.accepted_by(a, place(1, 1)).has_value());
    CHECK_FALSE(fsm.accepted_by(b, place(1, 1)).has_value());
    CHECK(Snapshot(fsm) == before);
}

TEST_CASE("an elected node that published nothing counts no acceptances of what it took over") {
    auto fsm = leader(remembers(1, publication(place(1, 1))), {a, b});
    CHECK_FALSE(fsm.accepted_by(a, place(1, 1)).has_value());
    CHECK_FALSE(fsm.accepted_by(b, place(1, 1)).has_value());
}

TEST_CASE("a new configuration is committed by majorities of both") {
    auto smaller = leader(fresh(), {a, b});
    CHECK_FALSE(agree(smaller, only_a, {a}).has_value());  // not of the old
    CHECK(smaller.accepted_by(c, place(1, 1)) == place(1, 1));

    auto larger = leader(fresh(only_a), {a});
    REQUIRE(larger.join(b, join_of(1, 0, 0)));
    CHECK_FALSE(agree(larger, ab, {a}).has_value());  // not of the new
    CHECK(larger.accepted_by(b, place(1, 1)) == place(1, 1));

    auto other = leader(fresh(ab), {a, b});
    REQUIRE(other.join(c, join_of(1, 0, 0)));
    CHECK_FALSE(agree(other, bc, {b, c}).has_value());  // of the new alone
    CHECK(other.accepted_by(a, place(1, 1)) == place(1, 1));
}

TEST_CASE("whoever has accepted without a vote does not commit") {
    auto fsm = leader(fresh(ab), {a, b});
    CHECK_FALSE(agree(fsm, ab, {a, c, stranger}).has_value());
}

TEST_CASE("commit makes the accepted configuration the committed one") {
    CoordinationFsm fsm(remembers(1, publication(place(1, 1), ab, abc)));
    CHECK(fsm.commit(place(1, 1)));
    CHECK(fsm.durable() == remembers(1, publication(place(1, 1), ab, ab)));
    CHECK(fsm.commit(place(1, 1)));  // once more changes nothing
    CHECK(fsm.durable() == remembers(1, publication(place(1, 1), ab, ab)));
}

TEST_CASE("a Commit of anything but the accepted value is refused") {
    CoordinationFsm fsm(remembers(1, publication(place(1, 2), ab, abc)));
    const Snapshot before(fsm);
    for (const auto& other : {place(1, 1), place(1, 3), place(0, 2), place(2, 2)})
        CHECK_FALSE(fsm.commit(other));
    CHECK(Snapshot(fsm) == before);
}

TEST_CASE("a Commit of an earlier term is refused even if it is what this node accepted") {
    CoordinationFsm fsm(remembers(2, publication(place(1, 1), ab, abc)));
    const Snapshot before(fsm);
    CHECK_FALSE(fsm.commit(place(1, 1)));
    CHECK(Snapshot(fsm) == before);
}

TEST_CASE("a new leader commits what it took over by publishing it in its own term") {
    auto fsm = leader(remembers(1, publication(place(1, 1), ab, abc)), {a, b});
    CHECK_FALSE(fsm.may_propose(abc));  // the change of another leader is still in flight
    CHECK(published(fsm, fsm.durable().accepted.value, ab) ==
          Published{Term{2}, PoolVersion{2}, x, ab, abc});
    CHECK(fsm.accept(Published{Term{2}, PoolVersion{2}, x, ab, abc}) == place(2, 2));
    CHECK_FALSE(fsm.accepted_by(a, place(2, 2)).has_value());
    CHECK(fsm.accepted_by(b, place(2, 2)) == place(2, 2));
    CHECK(fsm.commit(place(2, 2)));
    CHECK(fsm.durable().accepted.committed == ab);
}
