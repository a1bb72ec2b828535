#include "proto/smtp/server_session.h"

#include <doctest/doctest.h>

#include <algorithm>
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
    bench.feed("EHLO c\r\n");
    bench.feed("AUTH PLAIN AGEAYg==\r\n");
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
    bench.feed("EHLO c\r\n");
    bench.feed("NOOP\r\nRSET\r\n");
    CHECK(bench.only<Send>().bytes.ends_with("250 2.0.0 OK\r\n250 2.0.0 OK\r\n"));
}

TEST_CASE("what comes with HELO, EHLO or DATA is left to the driver (attacks: S10)") {
    Bench bench;
    const std::string_view greeting = "EHLO c\r\nNOOP\r\n";
    CHECK(bench.feed(greeting) == greeting.find('N'));
    CHECK(bench.session.client_must_wait());
    CHECK(bench.feed("NOOP\r\n") == 6);  // behind the reply it is a command like any other
    CHECK_FALSE(bench.session.client_must_wait());
    bench.feed("HELO c\r\n");
    CHECK(bench.session.client_must_wait());
    bench.open_message();
    CHECK_FALSE(bench.session.client_must_wait());
    bench.feed("DATA\r\n.\r\n");
    CHECK(bench.session.client_must_wait());
    bench.effects.clear();
    CHECK(bench.session.end(EndReason::out_of_turn, bench.effects));
    REQUIRE(bench.effects.size() == 3);
    CHECK(std::get<Send>(bench.effects[0]).bytes.starts_with("554 5.5.0 "));
    CHECK(std::holds_alternative<BodyAbort>(bench.effects[1]));
    CHECK(std::holds_alternative<Close>(bench.effects[2]));
}

TEST_CASE("recipients beyond the limit are an error once they are very many (attacks: S19)") {
    ServerProfile profile{.host_name = "mx"};
    profile.limits.recipients_max = 2;
    profile.limits.surplus_recipients_max = 50;
    profile.limits.errors_max = 3;
    ServerPeer peer(profile);
    peer.receive("EHLO c\r\n");
    peer.receive("MAIL FROM:<a@example.net>\r\n");
    for (int i = 0; i < 2 + 50 + 3; ++i) {
        CHECK_FALSE(peer.closed());
        peer.receive("RCPT TO:<b@example.org>\r\n");
    }
    peer.take_output();
    peer.receive("RCPT TO:<b@example.org>\r\n");
    CHECK(peer.take_output().starts_with("421 4.7.0 "));
    CHECK(peer.closed());
}

namespace {

void open_chunks(Bench& bench) {
    bench.open_message();
    bench.feed("BDAT 3\r\n");
}

}  // namespace

TEST_CASE("a chunk is handed on as it comes, and answered behind its last octet") {
    Bench bench;
    bench.open_message();
    const std::string_view input = "BDAT 5\r\nab\r\ncNOOP\r\n";
    auto taken = bench.feed(input);
    CHECK(taken == 8);
    bench.only<BodyBegin>();
    taken += bench.feed(input.substr(taken));
    CHECK(taken == input.size());
    REQUIRE(bench.effects.size() == 2);
    CHECK(std::get<BodyData>(bench.effects[0]).bytes == "ab\r\nc");
    CHECK(std::get<BodyData>(bench.effects[0]).bytes.data() == input.data() + 8);
    CHECK(std::get<Send>(bench.effects[1]).bytes == "250 2.0.0 Chunk taken\r\n250 2.0.0 OK\r\n");
}

TEST_CASE("the last chunk asks for the verdict, with the line end that the message lacks") {
    Bench bench;
    open_chunks(bench);
    bench.feed("abc");
    bench.feed("BDAT 1 LAST\r\n");
    CHECK(bench.effects.empty());
    bench.feed("d");
    REQUIRE(bench.effects.size() == 3);
    CHECK(std::get<BodyData>(bench.effects[0]).bytes == "d");
    CHECK(std::get<BodyData>(bench.effects[1]).bytes == "\r\n");
    CHECK_FALSE(std::get<MessageEnd>(bench.effects[2]).fault);
    CHECK(bench.session.in_transaction());
    bench.verdict(ok);
    CHECK_FALSE(bench.session.in_transaction());
}

TEST_CASE("a faulty chunk ends its message; what is pipelined behind it is swallowed") {
    Bench bench;
    open_chunks(bench);
    const std::string_view input = "a\nbBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n";
    auto taken = bench.feed(input);
    REQUIRE(bench.effects.size() == 2);
    CHECK(std::get<MessageEnd>(bench.effects[0]).fault->code == 550);
    taken += bench.feed(input.substr(taken));
    CHECK(taken == input.size());
    CHECK(bench.only<Send>().bytes.starts_with("503 5.5.1 "));
    CHECK(bench.only<Send>().bytes.ends_with("250 2.0.0 OK\r\n"));
}

TEST_CASE("a body in chunks is dropped by RSET, EHLO and every end") {
    for (const auto* command : {"RSET\r\n", "EHLO again\r\n", "QUIT\r\n"}) {
        Bench bench;
        open_chunks(bench);
        bench.feed("abc");
        bench.feed(command);
        CHECK(std::holds_alternative<BodyAbort>(bench.effects.front()) !=
              (std::string_view(command) == "QUIT\r\n"));
        const auto aborts = std::ranges::count_if(bench.effects, [](const Effect& effect) {
            return std::holds_alternative<BodyAbort>(effect);
        });
        CHECK(aborts == 1);
    }
    Bench bench;
    open_chunks(bench);
    bench.feed("ab");
    bench.effects.clear();
    CHECK(bench.session.end(EndReason::peer_closed, bench.effects));
    CHECK(std::holds_alternative<BodyAbort>(bench.effects.front()));
}

TEST_CASE("chunks of an octet are taken for a while, not for ever (attacks: S22)") {
    ServerProfile profile{.host_name = "mx"};
    profile.limits.small_chunks_max = 2;
    Bench bench(profile);
    bench.open_message();
    for (int i = 0; i < 2; ++i) {
        bench.feed("BDAT 1\r\n");
        bench.feed("x");
        CHECK(std::get<Send>(bench.effects.back()).bytes.starts_with("250 "));
    }
    bench.feed("BDAT 1\r\n");
    CHECK(std::get<Send>(bench.effects.front()).bytes.starts_with("421 4.7.0 "));
    CHECK(bench.session.state() == ServerSession::State::closed);
}

TEST_CASE("what a transaction asks of the servers on the way is kept with it") {
    Bench bench({.host_name = "mx", .implicit_tls = true});
    bench.feed("EHLO c\r\n");
    bench.feed("MAIL FROM:<b\xC3\xB6@b> SMTPUTF8 REQUIRETLS RET=HDRS ENVID=x\r\n");
    CHECK(bench.only<CheckMail>().sender == "b\xC3\xB6@b");
    bench.verdict(ok);
    bench.feed("RCPT TO:<c@d> NOTIFY=SUCCESS ORCPT=rfc822;e@f\r\n");
    bench.verdict(ok);
    const auto& transaction = bench.session.transaction();
    CHECK(transaction.wishes == MailWishes{.utf8 = true,
                                           .require_tls = true,
                                           .ret = ReturnContent::headers,
                                           .envelope_id = "x"});
    CHECK(transaction.recipients ==
          std::vector<AcceptedRecipient>{
              {"c@d", {.notify = {.said = true, .success = true}, .original = "rfc822;e@f"}}});
}
