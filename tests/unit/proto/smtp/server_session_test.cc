#include "proto/smtp/server_session.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/server_peer.h"

using namespace posthorse;
using namespace posthorse::smtp;
using posthorse::test::ServerPeer;

namespace {

// A session driven by hand, to see single effects.
struct Bench {
    explicit Bench(ServerProfile profile = {.host_name = "mx"}) : session(std::move(profile)) {
        session.start(effects);
        effects.clear();
    }
    std::size_t feed(std::string_view bytes) {
        effects.clear();
        return session.feed(bytes, effects);
    }
    void verdict(const Reply& reply) {
        effects.clear();
        session.verdict(reply, effects);
    }
    template <class T>
    const T& only() const {
        REQUIRE(effects.size() == 1);
        REQUIRE(std::holds_alternative<T>(effects.front()));
        return std::get<T>(effects.front());
    }
    void open_message() {
        feed("EHLO c\r\n");
        feed("MAIL FROM:<a@b>\r\n");
        verdict({250, {2, 1, 0}, "OK"});
        feed("RCPT TO:<c@d>\r\n");
        verdict({250, {2, 1, 5}, "OK"});
    }
    void open_data() {
        open_message();
        feed("DATA\r\n");
    }

    ServerSession session;
    Effects effects;
};

const Reply ok{250, {2, 0, 0}, "OK"};

}  // namespace

TEST_CASE("a question stops the conversation until it is answered") {
    Bench bench;
    bench.feed("EHLO c\r\n");
    const std::string_view group = "MAIL FROM:<a@b> SIZE=7\r\nRCPT TO:<c@d>\r\n";
    const auto taken = bench.feed(group);
    CHECK(taken == group.find("RCPT"));
    CHECK(bench.only<CheckMail>().sender == "a@b");
    CHECK(bench.only<CheckMail>().declared_bytes == 7);
    CHECK(bench.session.state() == ServerSession::State::question);
    CHECK_FALSE(bench.session.in_transaction());
    CHECK(bench.feed(group.substr(taken)) == 0);
    CHECK(bench.effects.empty());

    bench.verdict({250, {2, 1, 0}, "Go on"});
    CHECK(bench.only<Send>().bytes == "250 2.1.0 Go on\r\n");
    CHECK(bench.session.transaction().declared_bytes == 7);
    CHECK(bench.feed(group.substr(taken)) == group.size() - taken);
    CHECK(bench.only<CheckRcpt>().recipient == "c@d");
}

TEST_CASE("a negative verdict only answers") {
    Bench bench;
    bench.feed("EHLO c\r\n");
    bench.feed("MAIL FROM:<a@b>\r\n");
    bench.verdict({450, {4, 7, 1}, "Later"});
    CHECK(bench.only<Send>().bytes == "450 4.7.1 Later\r\n");
    CHECK_FALSE(bench.session.in_transaction());
    bench.feed("MAIL FROM:<a@b>\r\n");
    bench.verdict(ok);
    bench.feed("RCPT TO:<c@d>\r\n");
    bench.verdict({550, {5, 1, 1}, "No"});
    CHECK(bench.session.transaction().recipients.empty());
}

TEST_CASE("nothing is said to the end of data before the verdict") {
    Bench bench;
    bench.open_data();
    const std::string_view end = "text\r\n.\r\nQUIT\r\n";
    CHECK(bench.feed(end) == end.find('Q'));
    REQUIRE(bench.effects.size() == 2);
    CHECK(std::get<BodyData>(bench.effects[0]).bytes == "text\r\n");
    CHECK_FALSE(std::get<MessageEnd>(bench.effects[1]).fault);
    CHECK(bench.session.in_transaction());
    bench.verdict({451, {4, 3, 0}, "Not now"});
    CHECK(bench.only<Send>().bytes == "451 4.3.0 Not now\r\n");
    CHECK_FALSE(bench.session.in_transaction());
}

TEST_CASE("body bytes are views into the input") {
    Bench bench;
    bench.open_data();
    const std::string input = "..dot\r\n";
    bench.feed(input);
    CHECK(bench.only<BodyData>().bytes.data() == input.data() + 1);
}

TEST_CASE(
    "a faulty message is refused by the session itself and hands out no byte behind the fault") {
    Bench bench;
    bench.open_data();
    bench.feed("a\nb\r\n");
    CHECK(bench.effects.empty());
    bench.feed("more\r\n.\r\n");
    REQUIRE(bench.effects.size() == 2);
    CHECK(std::get<MessageEnd>(bench.effects[0]).fault->code == 550);
    CHECK(std::get<Send>(bench.effects[1]).bytes.starts_with("550 5.5.2 "));
    CHECK(bench.session.state() == ServerSession::State::command);
}

TEST_CASE("the transaction can be seen at BodyBegin, whatever came in the same write") {
    Bench bench;
    bench.open_message();
    const std::string_view input = "DATA\r\nbare\nline\r\n.\r\nRSET\r\nNOOP\r\n";
    const auto taken = bench.feed(input);
    CHECK(taken == 6);
    CHECK(std::holds_alternative<BodyBegin>(bench.effects.front()));
    CHECK(bench.session.transaction().recipients.size() == 1);
    const auto end = bench.feed(input.substr(taken));
    CHECK(input.substr(taken + end) == "RSET\r\nNOOP\r\n");
    CHECK(std::get<MessageEnd>(bench.effects.front()).fault->code == 550);
}

TEST_CASE("a long line is refused where the limits say so") {
    ServerProfile profile{.host_name = "mx"};
    profile.limits.text_line_bytes_max = 1000;
    Bench bench(profile);
    bench.open_data();
    bench.feed(std::string(998, 'x') + "\r\n");
    bench.feed(std::string(999, 'x') + "\r\n.\r\n");
    CHECK(std::get<MessageEnd>(bench.effects.front()).fault->code == 554);
}

TEST_CASE("while a message's verdict is awaited only the peer can end the session") {
    for (const auto reason : {EndReason::idle, EndReason::shutdown, EndReason::overloaded}) {
        Bench bench;
        bench.open_data();
        bench.feed(".\r\n");
        bench.effects.clear();
        CHECK_FALSE(bench.session.end(reason, bench.effects));
        CHECK(bench.effects.empty());
        bench.verdict(ok);
        CHECK(bench.only<Send>().bytes == "250 2.0.0 OK\r\n");
    }
    Bench bench;
    bench.open_data();
    bench.feed(".\r\n");
    bench.effects.clear();
    CHECK(bench.session.end(EndReason::peer_closed, bench.effects));
    bench.only<Close>();
    bench.verdict(ok);  // comes too late, and harms nobody
    CHECK(bench.effects.empty());
}

TEST_CASE("how a session ends") {
    struct Case {
        EndReason reason;
        std::string_view said;
    };
    for (const auto& [reason, said] :
         {Case{EndReason::idle, "421 4.4.2 "}, Case{EndReason::shutdown, "421 4.3.2 "},
          Case{EndReason::overloaded, "421 4.3.2 "}}) {
        Bench bench;
        CHECK(bench.session.end(reason, bench.effects));
        REQUIRE(bench.effects.size() == 2);
        CHECK(std::get<Send>(bench.effects[0]).bytes.starts_with(said));
        CHECK(std::holds_alternative<Close>(bench.effects[1]));
        CHECK(bench.session.end(reason, bench.effects));
        CHECK(bench.effects.size() == 2);
        CHECK(bench.feed("NOOP\r\n") == 0);
    }
}

TEST_CASE("a session that may not even begin says so instead of a greeting") {
    ServerSession session({.host_name = "mx"});
    Effects effects;
    CHECK(session.end(EndReason::overloaded, effects));
    CHECK(std::get<Send>(effects.front()).bytes.starts_with("421 "));
}

TEST_CASE("an end in the middle of a body drops the body first") {
    Bench bench;
    bench.open_data();
    bench.effects.clear();
    CHECK(bench.session.end(EndReason::idle, bench.effects));
    REQUIRE(bench.effects.size() == 3);
    CHECK(std::holds_alternative<Send>(bench.effects[0]));
    CHECK(std::holds_alternative<BodyAbort>(bench.effects[1]));
    CHECK(std::holds_alternative<Close>(bench.effects[2]));
}

TEST_CASE("no reply is sent into a handshake") {
    Bench bench({.host_name = "mx", .starttls = true});
    CHECK(bench.feed("STARTTLS\r\nNOOP\r\n") == 16);
    CHECK(bench.session.state() == ServerSession::State::tls);
    CHECK(bench.session.feed("anything\r\n", bench.effects) == 0);
    bench.effects.clear();
    CHECK(bench.session.end(EndReason::idle, bench.effects));
    bench.only<Close>();
}

TEST_CASE("TLS forgets who the client was (RFC 3207 section 4.2)") {
    Bench bench({.host_name = "mx", .starttls = true, .auth = true, .auth_in_clear = true});
    bench.feed("EHLO c\r\nAUTH PLAIN AGEAYg==\r\n");
    bench.session.auth_verdict("a", {235, {2, 7, 0}, "OK"}, bench.effects);
    CHECK(bench.session.facts().login == "a");
    bench.feed("MAIL FROM:<a@b>\r\n");
    bench.verdict(ok);
    bench.feed("STARTTLS\r\n");
    bench.session.tls_established(bench.effects);
    CHECK(bench.session.facts().tls);
    CHECK(bench.session.facts().login.empty());
    CHECK(bench.session.facts().helo.empty());
    CHECK_FALSE(bench.session.in_transaction());
}

TEST_CASE("an AUTH exchange is the mechanism's own: its octets come and go as base64") {
    Bench bench({.host_name = "mx", .implicit_tls = true, .auth = true, .mechanisms = {"X-PAIR"}});
    bench.feed("EHLO c\r\n");
    CHECK(bench.only<Send>().bytes.find("AUTH X-PAIR\r\n") != std::string::npos);
    bench.feed("AUTH PLAIN YQ==\r\n");
    CHECK(bench.only<Send>().bytes.starts_with("504 5.5.4 "));
    bench.feed("AUTH x-pair YQA=\r\n");  // a NUL
    CHECK(bench.only<AuthBegin>().mechanism == "X-PAIR");
    CHECK(bench.only<AuthBegin>().initial == std::string("a\0", 2));
    bench.effects.clear();
    bench.session.auth_challenge("b?", bench.effects);
    CHECK(bench.only<Send>().bytes == "334 Yj8=\r\n");
    bench.feed("\r\n");
    CHECK(bench.only<AuthResponse>().octets.empty());
    bench.effects.clear();
    bench.session.auth_verdict("", {454, {4, 7, 0}, "Try later"}, bench.effects);
    CHECK(bench.only<Send>().bytes == "454 4.7.0 Try later\r\n");
    bench.session.offer({"X-OTHER"});
    bench.feed("AUTH X-OTHER =\r\n");
    CHECK(bench.only<AuthBegin>().initial == "");
    bench.effects.clear();
    bench.session.auth_challenge("", bench.effects);
    CHECK(bench.only<Send>().bytes == "334 \r\n");
}

TEST_CASE("an AUTH exchange that will not go on is given back (S14)") {
    for (const std::string line : {"*\r\n", "?\r\n", "YQ==\n\r\n"}) {
        Bench bench({.host_name = "mx", .implicit_tls = true, .auth = true});
        bench.feed("EHLO c\r\n");
        bench.feed("AUTH PLAIN\r\n");
        CHECK_FALSE(bench.only<AuthBegin>().initial);
        bench.effects.clear();
        bench.session.auth_challenge("", bench.effects);
        bench.feed(line);
        REQUIRE(bench.effects.size() == 2);
        CHECK(std::holds_alternative<AuthAbort>(bench.effects[0]));
        CHECK(std::get<Send>(bench.effects[1]).bytes.starts_with("50"));
        CHECK(bench.session.state() == ServerSession::State::command);
    }
}

TEST_CASE("AUTH needs EHLO and no open message") {
    Bench bench({.host_name = "mx", .implicit_tls = true, .auth = true});
    bench.feed("HELO c\r\n");
    bench.feed("AUTH PLAIN\r\n");
    CHECK(bench.only<Send>().bytes.starts_with("503 5.5.1 "));
    bench.feed("EHLO c\r\n");
    bench.feed("MAIL FROM:<a@b>\r\n");
    bench.verdict(ok);
    bench.feed("AUTH PLAIN\r\n");
    CHECK(bench.only<Send>().bytes.starts_with("503 5.5.1 "));
}

TEST_CASE("what the message is, as the test server received it") {
    ServerPeer peer(test::server_profile("mx"));
    peer.receive(
        "EHLO c\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n"
        "RCPT TO:<c@example.org>\r\nDATA\r\n..one\r\ntwo\r\n.\r\n");
    REQUIRE(peer.messages().size() == 1);
    CHECK(peer.messages()[0] == test::ReceivedMessage{"a@example.net",
                                                      {"b@example.org", "c@example.org"},
                                                      ".one\r\ntwo\r\n"});
}

TEST_CASE("replies of a group leave in one write (RFC 2920 section 3.2)") {
    Bench bench;
    bench.feed("EHLO c\r\nNOOP\r\nRSET\r\n");
    CHECK(bench.only<Send>().bytes.ends_with("250 2.0.0 OK\r\n250 2.0.0 OK\r\n"));
}
