#include "daemon/config/config.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;

// Every fault has a place and a mend; what is usable reads the same when its settings are read
// back.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto loaded = config::parse(fuzz::as_text(data, size), "fuzz.toml");
    bool fatal = false;
    for (const auto& problem : loaded.problems) {
        PH_ASSERT(!problem.what.empty() && problem.file == "fuzz.toml");
        PH_ASSERT(problem.to_string().starts_with("fuzz.toml:"));
        fatal = fatal || problem.fatal;
    }
    PH_ASSERT(loaded.usable() == !fatal);
    if (loaded.usable()) PH_ASSERT(config::changed_keys(loaded.config, loaded.config).empty());
    return 0;
}
