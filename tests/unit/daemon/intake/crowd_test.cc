#include "daemon/intake/crowd.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/intake/intake_fixture.h"

using namespace posthorse;
using namespace posthorse::tests;
using namespace std::chrono_literals;
using intake::Crowd;

TEST_CASE("a crowd begins at four fifths and ends below three") {
    Crowd crowd(10s);
    crowd.set_room(100);
    CHECK_FALSE(crowd.count(79));
    CHECK(crowd.bounded(5min) == 5min);
    CHECK(crowd.count(80));
    CHECK(crowd.dense());
    CHECK(crowd.bounded(5min) == 10s);
    CHECK(crowd.bounded(1s) == 1s);
    CHECK_FALSE(crowd.count(60));
    CHECK(crowd.count(59));
    CHECK_FALSE(crowd.dense());
    CHECK_FALSE(crowd.count(79));
}

TEST_CASE("where there is room for one, he is a crowd") {
    Crowd crowd(10s);
    crowd.set_room(1);
    CHECK_FALSE(crowd.count(0));
    CHECK(crowd.count(1));
    CHECK(crowd.count(0));
}

namespace {

config::Config room_for_five() {
    auto config = IntakeFixture::default_config();
    config.intake.sessions_max = 5;
    config.timeouts.server_crowded = 300ms;
    return config;
}

}  // namespace

TEST_CASE("in a crowd who dawdles has less time, who waits for him too") {
    IntakeFixture intake(room_for_five());
    Client early(intake.port("mx"));
    early.greeting();
    early.send("EH");
    std::vector<std::unique_ptr<Client>> others;
    for (int i = 0; i < 3; ++i) {
        others.push_back(std::make_unique<Client>(intake.port("mx")));
        others.back()->greeting();
    }
    CHECK(intake.registry.text().find("posthorse_smtp_crowded 1") != std::string::npos);
    CHECK(early.reply().starts_with("421 4.4.2"));
    others.clear();
    intake.wait_for_sessions(0);
    CHECK(intake.registry.text().find("posthorse_smtp_crowded 0") != std::string::npos);
}
