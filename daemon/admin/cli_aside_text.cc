#include "daemon/admin/cli_aside_text.h"

#include <fmt/format.h>

#include "daemon/admin/cli_text.h"

namespace posthorse::admin {
namespace {

constexpr int row_recipients_max = 10;
constexpr int sender_width = 30;
constexpr int before_recipient = 26 + 1 + 6 + 1 + 5 + 1 + 9 + sender_width + 1;

std::string presence_name(v1::PoolPresence presence) {
    const auto* value = v1::PoolPresence_descriptor()->FindValueByNumber(presence);
    return value == nullptr ? "unknown" : short_name(*value);
}

WallTime to_wall(const google::protobuf::Timestamp& time) {
    return WallTime{std::chrono::seconds{time.seconds()} +
                    std::chrono::milliseconds{time.nanos() / 1'000'000}};
}

std::string further_line(const char* what, const std::string& text) {
    return text.empty() ? "" : fmt::format("{:>27}{}{}\n", "", what, text);
}

std::string recipients_text(const v1::SetAsideMessage& message) {
    if (message.pending().empty()) return "-\n";
    std::string text;
    for (int i = 0; i < message.pending_size() && i < row_recipients_max; ++i) {
        text += fmt::format("{:>{}}{}\n", "", i == 0 ? 0 : before_recipient, message.pending(i));
    }
    const int left_out = message.pending_size() - row_recipients_max;
    if (left_out > 0) text += fmt::format("{:>{}}(and {} more)\n", "", before_recipient, left_out);
    return text;
}

}  // namespace

std::string AsideTable::heading(const v1::SetAsideMessage& message) {
    if (directory_ == message.directory()) return "";
    directory_ = message.directory();
    auto text = fmt::format("{}: {}\n", directory_, message.why());
    if (message.id().empty()) return text;
    return text + fmt::format("{:<26} {:>6} {:>5} {:<9}{:<{}} {}\n", "QUEUE ID", "AGE", "SIZE",
                              "POOL", "SENDER", sender_width, "RECIPIENT");
}

std::string AsideTable::row(const v1::SetAsideMessage& message) {
    auto text = heading(message);
    if (message.id().empty()) return text + further_line("", message.problem());
    ++messages_;
    bytes_ += message.size_bytes();
    if (v1::PoolPresence_IsValid(message.presence()))
        ++by_presence_[static_cast<std::size_t>(message.presence())];
    if (!message.problem().empty()) {
        return text + fmt::format("{:<26} {:>6} {:>5} {:<9}{}\n", message.id(), "-", "-",
                                  presence_name(message.presence()), message.problem());
    }
    const auto& sender = message.sender();
    text += fmt::format("{:<26} {:>6} {:>5} {:<9}{:<{}} ", message.id(),
                        format_age(now_ - to_wall(message.accept_time())),
                        format_size(message.size_bytes()), presence_name(message.presence()),
                        sender.empty() ? "<>" : sender, sender_width);
    text += recipients_text(message);
    if (message.held()) text += further_line("", "held");
    if (message.attempts_in_doubt() > 0)
        text += further_line("in doubt: ", counted(message.attempts_in_doubt(), "attempt"));
    text += further_line("an adoption was begun as ", message.adopted_as());
    return text + further_line("unknown: ", message.presence_detail());
}

std::string AsideTable::footer() const {
    if (messages_ == 0) return directory_.empty() ? "No message is set aside here.\n" : "";
    auto text = fmt::format("-- {}, {}:", counted(messages_, "message"), format_size(bytes_));
    bool first = true;
    for (std::size_t presence = 0; presence < by_presence_.size(); ++presence) {
        if (by_presence_[presence] == 0) continue;
        text += fmt::format("{} {} {}", first ? "" : ",", by_presence_[presence],
                            presence_name(static_cast<v1::PoolPresence>(presence)));
        first = false;
    }
    return text + '\n';
}

std::string aside_result_text(v1::SetAsideAction action, const v1::SetAsideResult& result) {
    const char* verb = action == v1::SET_ASIDE_ACTION_ADOPT ? "adopt" : "remove";
    const auto outcome = [&]() -> std::string {
        switch (result.outcome()) {
            case v1::ActResult::OUTCOME_DONE:
                return fmt::format("{}: done", verb);
            case v1::ActResult::OUTCOME_WOULD_ACT:
                return fmt::format("{}: would be done", verb);
            case v1::ActResult::OUTCOME_NOT_FOUND:
                return "not found";
            case v1::ActResult::OUTCOME_REFUSED:
                return fmt::format("{}: refused", verb);
            default:
                return fmt::format("{}: unknown, it may have happened", verb);
        }
    }();
    const auto& name = result.id().empty() ? result.directory() : result.id();
    const auto& as = result.adopted_as();
    const auto& detail = result.detail();
    return fmt::format("{}  {}{}{}{}{}\n", name, outcome, as.empty() ? "" : " as ", as,
                       detail.empty() ? "" : ": ", detail);
}

}  // namespace posthorse::admin
