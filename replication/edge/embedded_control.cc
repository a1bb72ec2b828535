#include "replication/edge/embedded_control.h"

#include <cstring>
#include <filesystem>

#include "proto/types/assert.h"
#include "replication/edge/control_disk.h"

namespace posthorse::replication {
namespace {

NodeId make_node_id(const std::function<std::uint64_t()>& random) {
    NodeId id;
    for (std::size_t half = 0; half < 2; ++half) {
        const auto number = random();
        std::memcpy(id.bytes.data() + 8 * half, &number, 8);
    }
    return id;
}

Result<ControlRecord> load(const std::string& directory,
                           const std::function<std::uint64_t()>& random) {
    std::error_code code;
    std::filesystem::create_directories(directory, code);
    if (code) return Error{Errc::io, directory + ": cannot make: " + code.message()};
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, code);
    auto record = read_record(directory);
    if (record || record.error().code != Errc::not_found) return record;
    ControlRecord fresh;
    fresh.self = make_node_id(random);
    return fresh;
}

}  // namespace

Result<std::unique_ptr<EmbeddedControl>> EmbeddedControl::open(std::string directory,
                                                               ControlCore::Settings settings,
                                                               Ports ports) {
    auto record = load(directory, ports.random);
    if (!record) return record.error();
    return std::unique_ptr<EmbeddedControl>(new EmbeddedControl(
        std::move(directory), *std::move(record), std::move(settings), std::move(ports)));
}

EmbeddedControl::EmbeddedControl(std::string directory,
                                 ControlRecord record,
                                 ControlCore::Settings settings,
                                 Ports ports)
    : directory_(std::move(directory)),
      ports_(std::move(ports)),
      core_(std::move(record), std::move(settings), ports_.random) {}

template <class Call>
auto EmbeddedControl::while_alive(Call call) {
    return [alive = std::weak_ptr<char>(alive_), call = std::move(call)](auto&&... args) mutable {
        if (!alive.expired()) call(std::forward<decltype(args)>(args)...);
    };
}

// ------------------------------------------------------------------ events in

void EmbeddedControl::start(Completion<PoolState> done) {
    started_ = std::move(done);
    ControlEffects effects;
    core_.start(ports_.clock.boot(), effects);
    carry_out(std::move(effects));
}

void EmbeddedControl::watch(UniqueFunction<void(const PoolState&)> changed) {
    changed_ = std::move(changed);
}

void EmbeddedControl::tick() {
    if (ended_) return;
    ControlEffects effects;
    core_.tick(ports_.clock.boot(), effects);
    carry_out(std::move(effects));
}

void EmbeddedControl::receive(const Header& header,
                              const Message& message,
                              UniqueFunction<void(Refusal)> verdict) {
    if (ended_) return verdict(Refusal::not_ready);
    ControlEffects effects;
    const auto refusal = core_.receive(header, message, ports_.clock.boot(), effects);
    verdict(refusal);
    carry_out(std::move(effects));
}

Refusal EmbeddedControl::judge(const Header& header) const {
    return ended_ ? Refusal::not_ready : core_.judge(header, ports_.clock.boot());
}

void EmbeddedControl::propose(Change change, Completion<> done) {
    if (ended_) return done(Error{Errc::unavailable, "this node stops"});
    ControlEffects effects;
    const auto request = core_.propose(std::move(change), ports_.clock.boot(), effects);
    asked_.emplace(request, std::move(done));
    carry_out(std::move(effects));
}

void EmbeddedControl::leave(Completion<> done) {
    if (started_)
        std::exchange(started_, {})(Error{Errc::cancelled, "this node stops before it began"});
    if (ended_) return done({});
    left_ = std::move(done);
    ControlEffects effects;
    core_.leave(ports_.clock.boot(), effects);
    carry_out(std::move(effects));
}

Result<void> EmbeddedControl::begin_without(const std::vector<NodeId>& others) {
    ControlEffects effects;
    auto begun = core_.begin_without(others, ports_.clock.boot(), effects);
    carry_out(std::move(effects));
    return begun;
}

bool EmbeddedControl::lease_live(BootTime now, Duration margin) const {
    return !ended_ && core_.lease_live(now, margin);
}

// ------------------------------------------------------------------ effects out

// What is called here may call back in: its effects wait for their turn.
void EmbeddedControl::carry_out(ControlEffects effects) {
    effects_.push_back(std::move(effects));
    if (std::exchange(carrying_out_, true)) return;
    while (!effects_.empty()) {
        auto next = std::move(effects_.front());
        effects_.pop_front();
        carry_out_one(std::move(next));
    }
    carrying_out_ = false;
}

void EmbeddedControl::carry_out_one(ControlEffects effects) {
    if (effects.changed && changed_) changed_(core_.acting());
    core_.acted_on(core_.acting().version);
    if (!effects.stranger.empty()) return became_stranger(effects.stranger);
    if (effects.write) write(*std::move(effects.write));
    for (auto& message : effects.sends) ports_.send(std::move(message));
    if (effects.look) look();
    if (effects.probe) probe();
    for (auto& notice : effects.notices) ports_.notice(std::move(notice));
    for (auto& answer : effects.answers) {
        auto asked = asked_.extract(answer.request);
        if (asked.empty()) continue;
        asked.mapped()(answer.error ? Result<void>(*answer.error) : Result<void>());
    }
    if (started_ && core_.running()) std::exchange(started_, {})(core_.acting());
    if (effects.left && left_) std::exchange(left_, {})({});
}

// Disks block: not on home.
void EmbeddedControl::write(ControlRecord record) {
    ports_.disk.post([this, record = std::move(record), directory = directory_, &home = ports_.home,
                      alive = std::weak_ptr<char>(alive_)] {
        auto stored = write_record(directory, record);
        home.post([this, alive, stored = std::move(stored)] {
            if (alive.expired() || ended_) return;
            if (!stored) {
                end();
                return ports_.failed(stored.error());
            }
            ControlEffects effects;
            core_.written(ports_.clock.boot(), effects);
            carry_out(std::move(effects));
        });
    });
}

void EmbeddedControl::look() {
    ports_.look(while_alive([this](std::vector<std::string> addresses, bool complete) {
        core_.found(std::move(addresses), complete);
    }));
}

void EmbeddedControl::probe() {
    ports_.probe(while_alive([this](const Result<void>& synced) {
        if (!synced || ended_) return;  // a store that failed: the lease ends
        ControlEffects effects;
        core_.probed(ports_.clock.boot(), effects);
        carry_out(std::move(effects));
    }));
}

// Nothing goes in or out any more: whoever waits for an answer gets the last.
void EmbeddedControl::end() {
    ended_ = true;
    for (auto& [request, done] : std::exchange(asked_, {}))
        done(Error{Errc::unknown, "this node ended before the pool answered"});
}

void EmbeddedControl::became_stranger(const std::string& why) {
    end();
    if (auto marked = mark_stranger(directory_, why); !marked) return ports_.failed(marked.error());
    ports_.stranger(why);
}

}  // namespace posthorse::replication
