#include "daemon/admin/member_name.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/admin/pools.h"

namespace posthorse::admin {
namespace {

using test::alpha;
using test::bravo;
using test::charlie;

replication::PoolState pool() {
    return test::three_nodes().committed;
}

TEST_CASE("a member is found by name, by id in either case, and by a beginning of its id") {
    const auto state = pool();
    const auto id_of = [&](const std::string& given) {
        const auto found = find_member(state, given);
        REQUIRE_MESSAGE(found.has_value(), given);
        return (*found)->id;
    };
    CHECK(id_of("alpha") == alpha);
    CHECK(id_of("charlie") == charlie);
    CHECK(id_of(bravo.to_string()) == bravo);
    CHECK(id_of("aa02") == bravo);
    CHECK(id_of("CC03") == charlie);
    CHECK(id_of("cc0300") == charlie);
}

TEST_CASE("what names nobody, or can name nobody, is told apart") {
    const auto code_of = [state = pool()](const std::string& given) {
        return find_member(state, given).error().code;
    };
    CHECK(code_of("delta") == Errc::not_found);
    CHECK(code_of("alph") == Errc::not_found);  // names are whole
    CHECK(code_of("ALPHA") == Errc::not_found);
    CHECK(code_of("cc0") == Errc::not_found);  // too short
    CHECK(code_of("cc04") == Errc::not_found);
    CHECK(code_of(charlie.to_string() + "0") == Errc::not_found);
    CHECK(code_of("") == Errc::invalid);
    CHECK(code_of(std::string(1000, 'a')) == Errc::invalid);
}

TEST_CASE("a name of several is refused with all of them") {
    auto state = pool();
    state.members[1].facts.name = "alpha";
    state.members[2].facts.name = "aa01";  // also the beginning of another's id
    const auto twice = find_member(state, "alpha");
    REQUIRE_FALSE(twice.has_value());
    CHECK(twice.error().code == Errc::conflict);
    CHECK(twice.error().what.find("alpha " + alpha.to_string() + ", alpha " + bravo.to_string()) !=
          std::string::npos);
    CHECK(find_member(state, "aa01").error().code == Errc::conflict);
    CHECK((*find_member(state, "aa02"))->id == bravo);
    state.members[1].id = test::node_id(0xaa, 0x01);
    state.members[1].id.bytes[15] = 1;
    CHECK(find_member(state, "aa0100").error().code == Errc::conflict);
}

TEST_CASE("titles: name and the beginning of the id") {
    auto state = pool();
    CHECK(title_of(state.members[0]) == "alpha (aa010000)");
    state.members[0].facts.name.clear();
    CHECK(title_of(state.members[0]) == "aa010000");
}

}  // namespace
}  // namespace posthorse::admin
