#include "proto/smtp/client_session.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/client_peer.h"

using namespace posthorse;
using namespace posthorse::smtp;
using posthorse::test::ClientPeer;

namespace {

// The server waits until the client has written `client`, then says `server`.
struct Turn {
    std::string client;
    std::string server;
};

struct Dialogue {
    std::string name;
    ClientProfile profile;
    std::vector<Job> jobs;
    std::vector<Turn> turns;
};

const Job one{.sender = "a@example.org", .recipients = {"b@example.net"}, .size_bytes = 100};
const Job three{.sender = "a@example.org",
                .recipients = {"b@example.net", "c@example.net", "d@example.net"},
                .size_bytes = 100};

const std::string greeting = "220 mx.example.net ESMTP\r\n";
const std::string plain_ehlo = "250 mx.example.net\r\n";
const std::string full_ehlo =
    "250-mx.example.net\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 "
    "ENHANCEDSTATUSCODES\r\n";

ClientProfile profile(TlsUse tls = TlsUse::when_offered) {
    return {.helo = "me.example.org", .tls = tls};
}

// Plays `turns` of the dialogue, each reply in pieces; empty: the client wrote what was expected.
std::string play(ClientPeer& peer,
                 const Dialogue& dialogue,
                 std::size_t turns,
                 std::size_t piece_bytes) {
    for (std::size_t i = 0; i < turns; ++i) {
        const auto& turn = dialogue.turns[i];
        const auto written = peer.take_output();
        if (written != turn.client) return "expected: " + turn.client + ", wrote: " + written;
        for (std::size_t at = 0; at < turn.server.size(); at += piece_bytes) {
            peer.receive(std::string_view(turn.server).substr(at, piece_bytes));
        }
    }
    return {};
}

struct Played {
    std::vector<std::vector<RecipientResult>> results;
    std::string last_written;
    bool closed = false;
    Reply refusal;
};

Played play_all(const Dialogue& dialogue) {
    Played played;
    for (const std::size_t piece : {1000, 1, 2, 3, 7}) {
        ClientPeer peer(dialogue.profile, dialogue.jobs);
        CAPTURE(dialogue.name);
        CAPTURE(piece);
        CHECK(play(peer, dialogue, dialogue.turns.size(), piece) == "");
        played = {peer.results(), peer.take_output(), peer.closed(), peer.session().refusal()};
    }
    return played;
}

std::vector<Turn> opening(const std::string& ehlo = full_ehlo) {
    return {{"", greeting}, {"EHLO me.example.org\r\n", ehlo}};
}

std::vector<Turn> operator+(std::vector<Turn> turns, std::vector<Turn> more) {
    turns.insert(turns.end(), more.begin(), more.end());
    return turns;
}

const std::string pipelined_one =
    "MAIL FROM:<a@example.org> SIZE=100\r\nRCPT TO:<b@example.net>\r\nDATA\r\n";
const std::string pipelined_three =
    "MAIL FROM:<a@example.org> SIZE=100\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\n"
    "RCPT TO:<d@example.net>\r\nDATA\r\n";

Dialogue pipelined(std::string name, Job job, std::vector<Turn> turns) {
    return {std::move(name), profile(), {std::move(job)}, opening() + std::move(turns)};
}

Dialogue one_by_one(std::string name, Job job, std::vector<Turn> turns) {
    return {std::move(name), profile(), {std::move(job)}, opening(plain_ehlo) + std::move(turns)};
}

// Conversations that end as conversations should; replayed below with a cut after every turn.
std::vector<Dialogue> good_dialogues() {
    return {
        pipelined("pipelined", one,
                  {{pipelined_one, "250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n"},
                   {"(body).\r\n", "250 2.0.0 queued as 7\r\n"},
                   {"QUIT\r\n", "221 2.0.0 bye\r\n"}}),
        one_by_one("one by one", one,
                   {{"MAIL FROM:<a@example.org>\r\n", "250 ok\r\n"},
                    {"RCPT TO:<b@example.net>\r\n", "250 ok\r\n"},
                    {"DATA\r\n", "354 go\r\n"},
                    {"(body).\r\n", "250 queued\r\n"},
                    {"QUIT\r\n", "221 bye\r\n"}}),
        {"HELO after EHLO was refused",
         profile(),
         {one},
         {{"", greeting},
          {"EHLO me.example.org\r\n", "500 what?\r\n"},
          {"HELO me.example.org\r\n", "250 mx\r\n"},
          {"MAIL FROM:<a@example.org>\r\n", "250 ok\r\n"},
          {"RCPT TO:<b@example.net>\r\n", "251 will forward\r\n"},
          {"DATA\r\n", "354\r\n"},
          {"(body).\r\n", "250\r\n"},
          {"QUIT\r\n", "221\r\n"}}},
        {"two messages after STARTTLS",
         profile(TlsUse::required),
         {one, one},
         {{"", greeting},
          {"EHLO me.example.org\r\n", "250-mx\r\n250 STARTTLS\r\n"},
          {"STARTTLS\r\n", "220 go\r\n"},
          {"(tls)EHLO me.example.org\r\n", full_ehlo},
          {pipelined_one, "250 ok\r\n250 ok\r\n354 go\r\n"},
          {"(body).\r\n", "250 queued\r\n"},
          {pipelined_one, "250 ok\r\n250 ok\r\n354 go\r\n"},
          {"(body).\r\n", "250 queued\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}}},
    };
}

}  // namespace

TEST_CASE("good conversations deliver") {
    for (const auto& dialogue : good_dialogues()) {
        const auto played = play_all(dialogue);
        CHECK(played.closed);
        REQUIRE(played.results.size() == dialogue.jobs.size());
        for (const auto& results : played.results) CHECK(results[0].kind == OutcomeKind::delivered);
    }
}

TEST_CASE(
    "a conversation that is cut after any turn defers, and says when it is in doubt (attacks: "
    "C4)") {
    for (const auto reason : {ClientEnd::peer_closed, ClientEnd::timed_out, ClientEnd::lease_lost,
                              ClientEnd::shutdown}) {
        for (const auto& dialogue : good_dialogues()) {
            for (std::size_t turns = 0; turns < dialogue.turns.size(); ++turns) {
                ClientPeer peer(dialogue.profile, dialogue.jobs);
                REQUIRE(play(peer, dialogue, turns, 1000) == "");
                const auto done = peer.jobs_done();
                const auto begun = peer.results().size();
                const bool in_doubt = begun > done && peer.dot_sent();
                peer.end(reason);
                CAPTURE(dialogue.name);
                CAPTURE(turns);
                CHECK(peer.closed());
                CHECK(peer.jobs_done() == begun);
                if (begun == done) continue;
                const auto& result = peer.results().back().front();
                CHECK(result.kind == OutcomeKind::deferred);
                CHECK(result.reply.code == 0);
                CHECK(result.reply.enhanced.klass == 4);
                CHECK(result.lost_after_dot == in_doubt);
            }
        }
    }
}

TEST_CASE("a reply of 421 at any turn defers with it (attacks: C3)") {
    for (const auto& dialogue : good_dialogues()) {
        for (std::size_t turns = 0; turns + 1 < dialogue.turns.size(); ++turns) {
            ClientPeer peer(dialogue.profile, dialogue.jobs);
            REQUIRE(play(peer, dialogue, turns, 1000) == "");
            const auto done = peer.jobs_done();
            const auto begun = peer.results().size();
            peer.receive("421 4.3.2 closing\r\n");
            CAPTURE(dialogue.name);
            CAPTURE(turns);
            CHECK(peer.closed());
            if (begun == done) {
                CHECK(peer.session().refusal().code == 421);
                continue;
            }
            const auto& result = peer.results().back().front();
            CHECK(result.kind == OutcomeKind::deferred);
            CHECK(result.reply.code == 421);
            CHECK_FALSE(result.lost_after_dot);
        }
    }
}

TEST_CASE("a malformed reply at any turn is a protocol error, never a success (attacks: C2)") {
    const std::string bad_replies[] = {
        "850 ok\r\n",  "2\r\n",      "25\r\n",   "250_ok\r\n",     "250-a\r\n251 b\r\n",
        "250 ok\n",    "\r\n",       "2500\r\n", "199 ok\r\n",     "25O ok\r\n",
        "250\rok\r\n", "ok 250\r\n", " 250\r\n", "600 beyond\r\n", "25\r0 ok\r\n"};
    for (const auto& bad : bad_replies) {
        for (const auto& dialogue : good_dialogues()) {
            for (std::size_t turns = 0; turns < dialogue.turns.size(); ++turns) {
                ClientPeer peer(dialogue.profile, dialogue.jobs);
                REQUIRE(play(peer, dialogue, turns, 1000) == "");
                const bool in_job = peer.results().size() > peer.jobs_done();
                const bool in_doubt = in_job && peer.dot_sent();
                peer.receive(bad);
                CAPTURE(bad);
                CAPTURE(dialogue.name);
                CAPTURE(turns);
                CHECK(peer.closed());
                if (!in_job) continue;
                const auto& result = peer.results().back().front();
                CHECK(result.kind == OutcomeKind::deferred);
                CHECK(result.reply.code == 0);
                CHECK(result.lost_after_dot == in_doubt);
            }
        }
    }
}

TEST_CASE("endless replies are cut off (attacks: C1, C7)") {
    for (const auto& endless : {std::string(3000, 'x'), "220-" + std::string(3000, 'x')}) {
        ClientPeer peer(profile(), {one});
        peer.receive(endless);
        CHECK(peer.closed());
        CHECK(peer.session().refusal().text == "protocol error: reply line too long");
    }
    ClientPeer peer(profile(), {one});
    for (int i = 0; i < 100; ++i) peer.receive("220-more\r\n");
    CHECK_FALSE(peer.closed());
    peer.receive("220-more\r\n");
    CHECK(peer.closed());
    CHECK(peer.session().refusal().text == "protocol error: reply of too many lines");
}

TEST_CASE("what a server says is made safe before it is kept (attacks: C8)") {
    using namespace std::string_literals;
    const auto played =
        play_all(pipelined("hostile text", one,
                           {{pipelined_one, "250 ok\r\n550-5.1.1 \x1b[31mred\0\xff\r\n550 5.1.1 "s +
                                                std::string(1500, 'y') + "\r\n354 go\r\n"},
                            {".\r\n", "554 no\r\n"}}));
    const auto& reply = played.results[0][0].reply;
    CHECK(reply.code == 550);
    CHECK(reply.enhanced == EnhancedCode{5, 1, 1});
    CHECK(reply.text.starts_with("?[31mred??\nyyy"));
    CHECK(reply.text.size() <= 1024);
}

TEST_CASE("each recipient hears its own reply (attacks: C3)") {
    const auto played = play_all(pipelined(
        "mixed", three,
        {{pipelined_three,
          "250 ok\r\n550 5.1.1 no such user\r\n250 ok\r\n452 4.5.3 too many\r\n354 go\r\n"},
         {"(body).\r\n", "250 2.0.0 queued\r\n"}}));
    const auto& results = played.results[0];
    CHECK(results[0].kind == OutcomeKind::failed);
    CHECK(results[0].reply == Reply{550, {5, 1, 1}, "no such user"});
    CHECK(results[1].kind == OutcomeKind::delivered);
    CHECK(results[1].reply.text == "queued");
    CHECK(results[2].kind == OutcomeKind::deferred);
    CHECK(results[2].reply.code == 452);
    CHECK(played.last_written == "QUIT\r\n");
}

TEST_CASE("552 to RCPT means too many recipients unless it names a full mailbox") {
    const auto played = play_all(pipelined(
        "552", three,
        {{pipelined_three,
          "250 ok\r\n552 too many\r\n552 5.2.2 full\r\n552 5.5.3 too many\r\n503 none\r\n"}}));
    CHECK(played.results[0][0].kind == OutcomeKind::deferred);
    CHECK(played.results[0][1].kind == OutcomeKind::failed);
    CHECK(played.results[0][2].kind == OutcomeKind::deferred);
    CHECK(played.last_written == "RSET\r\n");
}

TEST_CASE("the end of data speaks for those that were accepted only") {
    const auto played = play_all(
        pipelined("end refused", three,
                  {{pipelined_three, "250 ok\r\n450 later\r\n250 ok\r\n250 ok\r\n354 go\r\n"},
                   {"(body).\r\n", "554 5.7.1 spam\r\n"}}));
    CHECK(played.results[0][0].reply.code == 450);
    CHECK(played.results[0][0].kind == OutcomeKind::deferred);
    CHECK(played.results[0][1].kind == OutcomeKind::failed);
    CHECK(played.results[0][2].reply.enhanced == EnhancedCode{5, 7, 1});
    CHECK(played.last_written == "QUIT\r\n");
}

TEST_CASE("nobody accepted and yet 354: the data end without a body (RFC 2920 section 3.1)") {
    const auto played = play_all(pipelined("empty end", one,
                                           {{pipelined_one, "250 ok\r\n550 no\r\n354 go\r\n"},
                                            {".\r\n", "554 no valid recipients\r\n"},
                                            {"QUIT\r\n", "221 bye\r\n"}}));
    CHECK(played.results[0][0].kind == OutcomeKind::failed);
    CHECK(played.results[0][0].reply.code == 550);
}

TEST_CASE("a server that takes the empty message delivered nothing") {
    const auto played = play_all(pipelined(
        "empty end taken", one,
        {{pipelined_one, "250 ok\r\n450 later\r\n354 go\r\n"}, {".\r\n", "250 thanks\r\n"}}));
    CHECK(played.results[0][0].kind == OutcomeKind::deferred);
    CHECK(played.results[0][0].reply.code == 450);
}

TEST_CASE("a refused MAIL settles everybody and the transaction is reset") {
    const auto played = play_all(pipelined(
        "MAIL refused", three,
        {{pipelined_three, "550 5.7.1 not you\r\n503 no\r\n503 no\r\n503 no\r\n503 no\r\n"},
         {"RSET\r\n", "250 ok\r\n"},
         {"QUIT\r\n", "221 bye\r\n"}}));
    for (const auto& result : played.results[0]) {
        CHECK(result.kind == OutcomeKind::failed);
        CHECK(result.reply.enhanced == EnhancedCode{5, 7, 1});
    }
    CHECK(play_all(one_by_one("MAIL deferred", one,
                              {{"MAIL FROM:<a@example.org>\r\n", "451 greylisted\r\n"},
                               {"RSET\r\n", "250 ok\r\n"},
                               {"QUIT\r\n", "221 bye\r\n"}}))
              .results[0][0]
              .kind == OutcomeKind::deferred);
}

TEST_CASE("one by one, DATA is not asked for when nobody was accepted") {
    const auto played = play_all(one_by_one("all refused", one,
                                            {{"MAIL FROM:<a@example.org>\r\n", "250 ok\r\n"},
                                             {"RCPT TO:<b@example.net>\r\n", "550 no\r\n"},
                                             {"RSET\r\n", "250 ok\r\n"},
                                             {"QUIT\r\n", "221 bye\r\n"}}));
    CHECK(played.results[0][0].kind == OutcomeKind::failed);
}

TEST_CASE("a server that refuses even RSET is left") {
    const auto played = play_all(
        pipelined("RSET refused", one,
                  {{pipelined_one, "250 ok\r\n550 no\r\n503 no\r\n"}, {"RSET\r\n", "500 no\r\n"}}));
    CHECK(played.closed);
    CHECK(played.results[0][0].reply.code == 550);
}

TEST_CASE("DATA refused fails or defers the accepted") {
    const auto played = play_all(
        pipelined("DATA refused", three,
                  {{pipelined_three, "250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n451 disk\r\n"},
                   {"RSET\r\n", "250 ok\r\n"}}));
    CHECK(played.results[0][0].reply.code == 451);
    CHECK(played.results[0][1].reply.code == 550);
    CHECK(played.results[0][2].kind == OutcomeKind::deferred);
}

TEST_CASE("codes of the wrong kind are protocol errors") {
    for (const auto* replies :
         {"354 go\r\n", "250 ok\r\n354 go\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n",
          "250 ok\r\n250 ok\r\n350 go\r\n"}) {
        const auto played = play_all(pipelined("wrong kind", one, {{pipelined_one, replies}}));
        CHECK(played.closed);
        CHECK(played.results[0][0].kind == OutcomeKind::deferred);
        CHECK(played.results[0][0].reply.code == 0);
        CHECK_FALSE(played.results[0][0].lost_after_dot);
    }
    const auto played = play_all(pipelined(
        "3yz at the end", one,
        {{pipelined_one, "250 ok\r\n250 ok\r\n354 go\r\n"}, {"(body).\r\n", "354 more\r\n"}}));
    CHECK(played.results[0][0].lost_after_dot);
}

TEST_CASE("a greeting or EHLO that is refused is told as it was (attacks: C3)") {
    for (const auto* refusal :
         {"554 5.3.2 not here\r\n", "521 no mail\r\n", "450 4.3.2 later\r\n"}) {
        const auto played = play_all({"greeting", profile(), {one}, {{"", refusal}}});
        CHECK(played.closed);
        CHECK(played.results.empty());
        CHECK(played.last_written == "QUIT\r\n");
        CHECK(played.refusal.code == std::stoi(refusal));
    }
    const auto played = play_all(
        {"EHLO", profile(), {one}, {{"", greeting}, {"EHLO me.example.org\r\n", "450 no\r\n"}}});
    CHECK(played.refusal.code == 450);
    CHECK(play_all({"HELO",
                    profile(),
                    {one},
                    {{"", greeting},
                     {"EHLO me.example.org\r\n", "500 no\r\n"},
                     {"HELO me.example.org\r\n", "550 no\r\n"}}})
              .refusal.code == 550);
}

TEST_CASE("STARTTLS as the policy says (attacks: C5)") {
    const std::string offer = "250-mx\r\n250 STARTTLS\r\n";
    const auto starttls = [&offer](TlsUse use, const std::string& answer) {
        return Dialogue{"starttls",
                        profile(use),
                        {one},
                        opening(offer) + std::vector<Turn>{{"STARTTLS\r\n", answer}}};
    };
    CHECK(play_all(starttls(TlsUse::when_offered, "454 4.7.0 no\r\n")).last_written ==
          "MAIL FROM:<a@example.org>\r\n");
    CHECK(play_all(starttls(TlsUse::when_offered, "354 go\r\n")).closed);
    for (const auto* answer : {"454 4.7.0 no\r\n", "500 no\r\n"}) {
        const auto played = play_all(starttls(TlsUse::required, answer));
        CHECK(played.closed);
        CHECK(played.refusal.enhanced == EnhancedCode{4, 7, 4});
    }
    CHECK(play_all({"not offered", profile(TlsUse::required), {one}, opening(plain_ehlo)})
              .refusal.enhanced == EnhancedCode{4, 7, 4});
    CHECK(play_all({"never", profile(TlsUse::never), {one}, opening(offer)}).last_written ==
          "MAIL FROM:<a@example.org>\r\n");
    auto already = profile();
    already.tls_already = true;
    CHECK(play_all({"already", already, {one}, opening(offer)}).last_written ==
          "MAIL FROM:<a@example.org>\r\n");
}

TEST_CASE(
    "what a server says in front of the handshake is dropped, and so are its old offers (attacks: "
    "C5)") {
    ClientPeer peer(profile(), {one});
    peer.receive(greeting);
    peer.receive("250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n");
    peer.take_output();
    peer.receive("220 go\r\n250-injected\r\n250 SIZE 1\r\n");
    CHECK(peer.take_output() == "(tls)EHLO me.example.org\r\n");
    CHECK_FALSE(peer.session().offer().pipelining);
    peer.receive(plain_ehlo);
    CHECK(peer.take_output() == "MAIL FROM:<a@example.org>\r\n");
}

TEST_CASE("a failed handshake ends the connection") {
    ClientPeer peer(profile(), {one});
    peer.tls_works = false;
    peer.receive(greeting);
    peer.receive("250-mx\r\n250 STARTTLS\r\n");
    peer.receive("220 go\r\n");
    CHECK(peer.closed());
    CHECK(peer.session().refusal().text == "TLS handshake failed: no shared cipher");
}

TEST_CASE("a message that is too large for the server is not even begun (attacks: C7)") {
    auto large = three;
    large.size_bytes = 1001;
    const auto played = play_all({"too large", profile(), {large, one}, opening()});
    CHECK(played.last_written == pipelined_one);
    for (const auto& result : played.results[0]) {
        CHECK(result.kind == OutcomeKind::failed);
        CHECK(result.reply.code == 0);
        CHECK(result.reply.enhanced == EnhancedCode{5, 3, 4});
    }
}

TEST_CASE("an address that cannot be written fails without a word to the server") {
    auto job = three;
    job.recipients[1] = "c@example.net>\r\nRCPT TO:<evil@example.net";
    const auto played = play_all(pipelined("bad address", job, {}));
    CHECK(played.last_written.find("evil") == std::string::npos);
    REQUIRE(played.results[0].size() == 1);
    CHECK(played.results[0][0].recipient == 1);
    CHECK(played.results[0][0].reply.enhanced == EnhancedCode{5, 1, 3});

    job = one;
    job.sender = "a@example.org> SIZE=1";
    CHECK(play_all(pipelined("bad sender", job, {})).results[0][0].reply.enhanced ==
          EnhancedCode{5, 1, 7});
}

TEST_CASE("without the lease the message is not ended (P3)") {
    ClientPeer peer(profile(), {one});
    peer.lease_is_good = false;
    for (const auto& turn : opening()) peer.receive(turn.server);
    peer.receive("250 ok\r\n250 ok\r\n354 go\r\n");
    CHECK(peer.closed());
    CHECK(peer.take_output().ends_with("(body)"));
    CHECK(peer.results()[0][0].kind == OutcomeKind::deferred);
    CHECK_FALSE(peer.results()[0][0].lost_after_dot);
}

TEST_CASE("a reply before the message was ended is heard, and success is not believed") {
    struct Case {
        const char* reply;
        OutcomeKind kind;
        int code;
    };
    for (const auto& [reply, kind, code] :
         {Case{"552 5.3.4 too large\r\n", OutcomeKind::failed, 552},
          Case{"451 4.3.0 disk\r\n", OutcomeKind::deferred, 451},
          Case{"250 ok\r\n", OutcomeKind::deferred, 0}}) {
        ClientSession session(profile());
        ClientEffects effects;
        session.start(effects);
        session.feed(greeting, effects);
        session.feed(plain_ehlo, effects);
        session.deliver(one, effects);
        session.feed("250 ok\r\n", effects);
        session.feed("250 ok\r\n", effects);
        session.feed("354 go\r\n", effects);
        REQUIRE(session.state() == ClientSession::State::body);
        CHECK(session.awaited() == Step::final_dot);
        effects.clear();
        session.feed(reply, effects);
        REQUIRE(effects.size() == 3);
        CHECK(std::get<RecipientResult>(effects[0]).kind == kind);
        CHECK(std::get<RecipientResult>(effects[0]).reply.code == code);
        CHECK_FALSE(std::get<RecipientResult>(effects[0]).lost_after_dot);
        CHECK_FALSE(std::get<JobDone>(effects[1]).connection_usable);
        effects.clear();
        session.body_sent(effects);
        session.dot(true, effects);
        CHECK(effects.empty());
    }
}

TEST_CASE("an idle connection that speaks is not used again") {
    ClientSession session(profile());
    ClientEffects effects;
    session.start(effects);
    session.feed(greeting, effects);
    session.feed(plain_ehlo, effects);
    REQUIRE(session.state() == ClientSession::State::ready);
    session.feed("250 surprise\r\n", effects);
    CHECK(session.state() == ClientSession::State::closed);
}

TEST_CASE("a server that speaks on behind its EHLO answer is left before a message is risked") {
    ClientPeer peer(profile(), {one});
    peer.receive(greeting);
    peer.receive(plain_ehlo + "250 one too many\r\n");
    CHECK(peer.closed());
    CHECK(peer.results().empty());
    CHECK(peer.session().refusal().text == "protocol error: reply to no command: 250 one too many");
}

TEST_CASE("the deadline that applies follows the conversation") {
    ClientSession session(profile());
    ClientEffects effects;
    session.start(effects);
    CHECK(session.awaited() == Step::greeting);
    session.feed(greeting, effects);
    CHECK(session.awaited() == Step::command);
    session.feed(full_ehlo, effects);
    session.deliver(one, effects);
    CHECK(session.awaited() == Step::command);
    session.feed("250 ok\r\n", effects);
    CHECK(session.awaited() == Step::command);
    session.feed("250 ok\r\n", effects);
    CHECK(session.awaited() == Step::data_start);
    session.feed("354 go\r\n", effects);
    session.body_sent(effects);
    session.dot(true, effects);
    CHECK(session.awaited() == Step::final_dot);
    session.feed("250 ok\r\n", effects);
    session.quit(effects);
    CHECK(session.awaited() == Step::quit);
}

TEST_CASE("a large recipient list goes in groups, each after the answers to the one before") {
    Job job{.sender = "a@example.org", .recipients = {}, .size_bytes = 10};
    for (int i = 0; i < 250; ++i)
        job.recipients.push_back("r" + std::to_string(i) + "@example.net");
    ClientPeer peer(profile(), {job});
    peer.receive(greeting);
    REQUIRE(peer.take_output() == "EHLO me.example.org\r\n");
    peer.receive(full_ehlo);
    std::size_t commands = 0;
    std::size_t groups = 0;
    for (auto written = peer.take_output(); !written.starts_with("(body)");
         written = peer.take_output()) {
        REQUIRE_FALSE(written.empty());
        ++groups;
        for (std::size_t at = 0; (at = written.find("\r\n", at)) != std::string::npos; at += 2) {
            ++commands;
            peer.receive(commands == 252   ? "354 go\r\n"
                         : commands == 200 ? "550 no\r\n"
                                           : "250 ok\r\n");
        }
    }
    CHECK(commands == 252);
    CHECK(groups == 3);
    peer.receive("250 queued\r\n");
    REQUIRE(peer.jobs_done() == 1);
    CHECK(peer.results()[0][198].kind == OutcomeKind::failed);
    CHECK(peer.results()[0][249].kind == OutcomeKind::delivered);
}
