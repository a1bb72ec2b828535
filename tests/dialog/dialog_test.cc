#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "tests/dialog/dialog.h"
#include "tests/support/server_peer.h"

using namespace posthorse;
using namespace posthorse::test;

namespace {

const std::vector<Dialog>& all_dialogs() {
    static const auto dialogs = read_dialogs(DIALOG_FOLDER);
    return dialogs;
}

// Plays a dialogue against a ServerPeer and says what did not match.
class Player {
public:
    using Sender = std::function<void(std::size_t step, std::string_view bytes)>;

    explicit Player(const Dialog& dialog)
        : dialog_(dialog), peer_(server_profile(dialog.profile)) {}

    ServerPeer& peer() { return peer_; }

    // Plays steps [0, count). Empty: all was as written.
    std::string play(std::size_t count, const Sender& send) {
        for (std::size_t i = 0; i < count; ++i) {
            if (auto why = play_step(i, send); !why.empty()) {
                return dialog_.name + ':' + std::to_string(dialog_.steps[i].line_number) + ": " +
                       why;
            }
        }
        output_ += peer_.take_output();
        if (count == dialog_.steps.size() && !output_.empty())
            return dialog_.name + ": unread: " + output_;
        return {};
    }

    std::string play_all() {
        return play(dialog_.steps.size(),
                    [this](std::size_t, std::string_view bytes) { peer_.receive(bytes); });
    }

private:
    std::string play_step(std::size_t index, const Sender& send) {
        const auto& step = dialog_.steps[index];
        switch (step.kind) {
            case StepKind::send:
                send(index, step.text);
                return {};
            case StepKind::expect_line:
                return expect(take_line(), step.text);
            case StepKind::expect_reply:
                return expect(take_reply(), step.text);
            case StepKind::reply_has:
                return reply_has(step.text) ? "" : "not offered: " + step.text;
            case StepKind::reply_lacks:
                return reply_has(step.text) ? "offered: " + step.text : "";
            case StepKind::tls:
                if (!peer_.tls_wanted()) return "the server does not start TLS";
                peer_.finish_tls();
                return {};
            case StepKind::closed:
                return peer_.closed() ? "" : "the connection is open";
        }
        return "unknown step";
    }

    static std::string expect(const std::string& line, const std::string& beginning) {
        return line.starts_with(beginning) ? "" : "expected: " + beginning + ", got: " + line;
    }

    std::string take_line() {
        output_ += peer_.take_output();
        const auto end = output_.find("\r\n");
        if (end == std::string::npos) return "(nothing)";
        auto line = output_.substr(0, end);
        output_.erase(0, end + 2);
        return line;
    }

    std::string take_reply() {
        reply_.clear();
        do {
            reply_.push_back(take_line());
        } while (reply_.back().size() > 3 && reply_.back()[3] == '-');
        return reply_.front();
    }

    bool reply_has(const std::string& text) const {
        return std::ranges::any_of(reply_, [&text](const std::string& line) {
            return line.size() > 4 && std::string_view(line).substr(4).starts_with(text);
        });
    }

    const Dialog& dialog_;
    ServerPeer peer_;
    std::string output_;              // not expected yet
    std::vector<std::string> reply_;  // the last that S* took
};

// Every position of what a person types; the ends and samples of what is long.
std::vector<std::size_t> cuts_of(std::size_t length) {
    std::vector<std::size_t> cuts;
    for (std::size_t at = 1; at < length; at += at < 200 || at + 200 > length ? 1 : 97)
        cuts.push_back(at);
    return cuts;
}

}  // namespace

TEST_CASE("every dialogue goes as written") {
    REQUIRE_FALSE(all_dialogs().empty());
    for (const auto& dialog : all_dialogs()) CHECK(Player(dialog).play_all() == "");
}

TEST_CASE("every dialogue goes as written when the client sends byte by byte") {
    for (const auto& dialog : all_dialogs()) {
        Player player(dialog);
        const auto send = [&player](std::size_t, std::string_view bytes) {
            for (const char& c : bytes) player.peer().receive({&c, 1});
        };
        CHECK(player.play(dialog.steps.size(), send) == "");
    }
}

TEST_CASE("every dialogue goes as written wherever one line is cut") {
    for (const auto& dialog : all_dialogs()) {
        for (std::size_t cut_step = 0; cut_step < dialog.steps.size(); ++cut_step) {
            if (dialog.steps[cut_step].kind != StepKind::send) continue;
            for (const auto cut : cuts_of(dialog.steps[cut_step].text.size())) {
                Player player(dialog);
                const auto send = [&](std::size_t step, std::string_view bytes) {
                    const auto first = step == cut_step ? cut : bytes.size();
                    player.peer().receive(bytes.substr(0, first));
                    player.peer().receive(bytes.substr(first));
                };
                REQUIRE(player.play(dialog.steps.size(), send) == "");
            }
        }
    }
}

TEST_CASE("a dialogue that ends after any step leaves no half message behind (attacks: S24)") {
    constexpr smtp::EndReason reasons[] = {smtp::EndReason::peer_closed, smtp::EndReason::idle,
                                           smtp::EndReason::shutdown, smtp::EndReason::overloaded};
    for (const auto& dialog : all_dialogs()) {
        for (std::size_t count = 0; count < dialog.steps.size(); ++count) {
            for (const auto reason : reasons) {
                Player player(dialog);
                REQUIRE(player.play(count, [&player](std::size_t, std::string_view bytes) {
                    player.peer().receive(bytes);
                }) == "");
                auto& peer = player.peer();
                const bool in_body = peer.in_body();
                const auto accepted = peer.messages().size();
                const auto aborted_before = peer.aborted_bodies();
                CHECK(peer.end(reason));
                CHECK(peer.closed());
                CHECK_FALSE(peer.in_body());
                CHECK(peer.aborted_bodies() == aborted_before + (in_body ? 1 : 0));
                peer.receive("\r\n.\r\nQUIT\r\n");
                CHECK(peer.messages().size() == accepted);
            }
        }
    }
}

TEST_CASE("a dialogue file that is not understood is named with its line") {
    CHECK_THROWS_WITH(parse_dialog("x.smtp", "profile mx\nX: hello\n"),
                      "x.smtp:2: not a statement: X: hello");
    CHECK_THROWS_WITH(parse_dialog("x.smtp", "C: hello\n"), "x.smtp:1: no profile is named");
    CHECK_THROWS_WITH(parse_dialog("x.smtp", "profile mx\nC: \\q\n"), "x.smtp:2: unknown escape");
    const auto dialog = parse_dialog("x.smtp", "profile mx\n2 C> a{\\xff*3}\\r\n");
    REQUIRE(dialog.steps.size() == 2);
    CHECK(dialog.steps[1].text == "a\xff\xff\xff\r");
}
