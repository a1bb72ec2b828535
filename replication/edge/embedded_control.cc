#include "replication/edge/embedded_control.h"

namespace posthorse::replication {

Result<std::unique_ptr<EmbeddedControl>> EmbeddedControl::open(std::string directory,
                                                               ControlCore::Settings settings,
                                                               Ports ports) {
    auto record = open_record(directory, ports.random);
    if (!record) return record.error();
    return std::unique_ptr<EmbeddedControl>(new EmbeddedControl(
        std::move(directory), *std::move(record), std::move(settings), std::move(ports)));
}

std::unique_ptr<EmbeddedControl> EmbeddedControl::go_on(std::string directory,
                                                        Passed passed,
                                                        ControlCore::Settings settings,
                                                        Ports ports) {
    std::unique_ptr<EmbeddedControl> control(new EmbeddedControl(
        std::move(directory), std::move(passed.record), std::move(settings), std::move(ports)));
    control->go_on_with(passed.lease);
    return control;
}

EmbeddedControl::EmbeddedControl(std::string directory,
                                 ControlRecord record,
                                 ControlCore::Settings settings,
                                 Ports ports)
    : ControlDriver(std::move(directory),
                    std::move(record),
                    std::move(settings),
                    {.home = ports.home,
                     .disk = ports.disk,
                     .clock = ports.clock,
                     .random = std::move(ports.random),
                     .probe = std::move(ports.probe),
                     .notice = std::move(ports.notice),
                     .stranger = std::move(ports.stranger),
                     .failed = std::move(ports.failed),
                     .moved = std::move(ports.moved)}),
      send_(std::move(ports.send)),
      look_(std::move(ports.look)) {}

void EmbeddedControl::receive(const Header& header,
                              const Message& message,
                              UniqueFunction<void(Refusal)> verdict) {
    if (ended()) return verdict(Refusal::not_ready);
    ControlEffects effects;
    const auto refusal = core().receive(header, message, now(), effects);
    verdict(refusal);
    carry_out(std::move(effects));
}

Refusal EmbeddedControl::judge(const Header& header) const {
    return ended() ? Refusal::not_ready : core().judge(header, now());
}

void EmbeddedControl::say(ControlEffects& effects) {
    for (auto& message : effects.sends) send_(std::move(message));
    if (effects.look) look();
}

void EmbeddedControl::look() {
    look_(while_alive([this](std::vector<std::string> addresses, bool complete) {
        core().found(std::move(addresses), complete);
    }));
}

}  // namespace posthorse::replication
