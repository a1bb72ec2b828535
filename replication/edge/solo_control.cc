#include "replication/edge/solo_control.h"

#include <cstring>
#include <filesystem>

#include "proto/types/assert.h"
#include "replication/core/solo_pool.h"
#include "replication/edge/control_file.h"

namespace posthorse::replication {
namespace {

NodeId make_node_id(UniqueFunction<std::uint64_t()>& random) {
    NodeId id;
    for (std::size_t half = 0; half < 2; ++half) {
        const auto number = random();
        std::memcpy(id.bytes.data() + 8 * half, &number, 8);
    }
    return id;
}

}  // namespace

SoloControl::SoloControl(Settings settings, Executor& home, UniqueFunction<std::uint64_t()> random)
    : settings_(std::move(settings)), home_(home), random_(std::move(random)) {}

Result<std::unique_ptr<SoloControl>> SoloControl::open(Settings settings,
                                                       Executor& home,
                                                       UniqueFunction<std::uint64_t()> random) {
    auto control =
        std::unique_ptr<SoloControl>(new SoloControl(std::move(settings), home, std::move(random)));
    if (auto loaded = control->load(); !loaded) return loaded.error();
    return control;
}

Result<void> SoloControl::load() {
    namespace fs = std::filesystem;
    std::error_code code;
    fs::create_directories(settings_.directory, code);
    if (code) return Error{Errc::io, settings_.directory + ": cannot make: " + code.message()};
    fs::permissions(settings_.directory, fs::perms::owner_all, code);
    auto content = read_control_file(settings_.directory + "/state");
    if (content) {
        self_ = content->self;
        pool_ = std::move(content->pool);
        return {};
    }
    if (content.error().code != Errc::not_found) return content.error();
    self_ = make_node_id(random_);
    pool_ = begin_pool(make_node_id(random_).to_string(), self_, settings_.name);
    return {};
}

void SoloControl::start(Completion<PoolState> done) {
    PH_ASSERT(!started_);
    pool_ = begin_incarnation(std::move(pool_), self_, random_());
    auto saved = save();
    started_ = saved.has_value();
    home_.post([this, saved, done = std::move(done)]() mutable {
        if (!saved) return done(saved.error());
        done(pool_);
    });
}

Result<void> SoloControl::save() const {
    return write_control_file(settings_.directory + "/state", {self_, pool_});
}

void SoloControl::watch(UniqueFunction<void(const PoolState&)> changed) {
    changed_ = std::move(changed);
}

void SoloControl::propose(Change, Completion<> done) {
    home_.post([done = std::move(done)]() mutable {
        done(Error{Errc::conflict, "a pool of one has no holder to drop"});
    });
}

Incarnation SoloControl::incarnation() const {
    return pool_.members.front().incarnation;
}

}  // namespace posthorse::replication
