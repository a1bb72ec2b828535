#include "daemon/intake/capacity.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::intake;

namespace {

config::Config config_of(std::uint32_t sessions, std::uint32_t connections) {
    config::Config config;
    config.intake.sessions_max = sessions;
    config.delivery.connections_max = connections;
    return config;
}

}  // namespace

TEST_CASE("sessions are as many as descriptors allow") {
    const auto config = config_of(1000, 200);
    CHECK(sessions_that_fit(config, 1 << 20) == 1000);
    CHECK(sessions_that_fit(config, 1000 + 200 + others_least) == 1000);
    CHECK(sessions_that_fit(config, 1024) == 1024 - 200 - others_least);
    CHECK(sessions_that_fit(config, 200 + others_least + sessions_least) == sessions_least);
    CHECK(sessions_that_fit(config, 200 + others_least + sessions_least - 1) == 0);
    CHECK(sessions_that_fit(config, 10) == 0);
}

TEST_CASE("who wants few sessions gets them, however few there are") {
    CHECK(sessions_that_fit(config_of(2, 1), others_least + 3) == 2);
    CHECK(sessions_that_fit(config_of(2, 1), others_least + 2) == 0);
}

TEST_CASE("what is wanted has room for the files of a large queue") {
    CHECK(descriptors_wanted(config_of(1000, 200)) == 1000 + 200 + others_wanted);
}
