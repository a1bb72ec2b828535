#include "daemon/auth/sasl.h"

#include <doctest/doctest.h>
#include <gsasl.h>

#include <map>

#include "proto/smtp/base64.h"

using namespace posthorse::auth;
using posthorse::smtp::encode_base64;

namespace {

// GNU SASL's own client.
class Client {
public:
    Client(const char* mechanism, std::map<Gsasl_property, std::string> says) {
        REQUIRE(gsasl_init(&library_) == GSASL_OK);
        REQUIRE(gsasl_client_start(library_, mechanism, &session_) == GSASL_OK);
        for (const auto& [property, value] : says)
            gsasl_property_set(session_, property, value.c_str());
    }
    ~Client() {
        gsasl_finish(session_);
        gsasl_done(library_);
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    std::string step(const std::string& challenge) {
        char* said = nullptr;
        std::size_t size = 0;
        last_ = gsasl_step(session_, challenge.data(), challenge.size(), &said, &size);
        std::string octets(said == nullptr ? "" : said, size);
        gsasl_free(said);
        return octets;
    }
    bool content() const { return last_ == GSASL_OK; }

private:
    Gsasl* library_ = nullptr;
    Gsasl_session* session_ = nullptr;
    int last_ = GSASL_NEEDS_MORE;
};

const ScramKeys anns_keys = *make_scram_keys("secret", "saltsaltsaltsalt");

ScramKeys keys_of(const std::string& login) {
    return login == "ann" ? anns_keys : made_up_keys("of this test", login);
}

ScramVerdict talk(Client& client, ScramExchange& server) {
    std::string challenge;
    for (int steps = 0; steps < 5; ++steps) {
        auto step = server.step(client.step(challenge));
        if (auto* verdict = std::get_if<ScramVerdict>(&step)) return *verdict;
        challenge = std::get<ScramChallenge>(step).octets;
    }
    FAIL("no end");
    return {};
}

ScramVerdict log_in(std::map<Gsasl_property, std::string> says) {
    Client client("SCRAM-SHA-256", std::move(says));
    ScramExchange server(ScramKind::plain, keys_of, {});
    const auto verdict = talk(client, server);
    CHECK(client.content() == verdict.accepted);  // the server proved itself, too
    return verdict;
}

ScramVerdict log_in_bound(std::map<Gsasl_property, std::string> says, ChannelBindings bindings) {
    says.insert({{GSASL_AUTHID, "ann"}, {GSASL_PASSWORD, "secret"}});
    Client client("SCRAM-SHA-256-PLUS", std::move(says));
    ScramExchange server(ScramKind::plus, keys_of, std::move(bindings));
    return talk(client, server);
}

}  // namespace

TEST_CASE("keys are those that RFC 7677 section 3 computes with") {
    const auto salt = posthorse::smtp::decode_base64("W22ZaJ0SNY7soEsUEjb6gQ==");
    ScramExchange server(ScramKind::plain,
                         [&](const std::string&) {
                             return *parse_scram_keys(
                                 "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"
                                 "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
                                 "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
                         },
                         {});
    Client client("SCRAM-SHA-256", {{GSASL_AUTHID, "user"}, {GSASL_PASSWORD, "pencil"}});
    CHECK(talk(client, server).accepted);
}

TEST_CASE("who knows the password is let in under his own name, others are not (S14)") {
    const auto good = log_in({{GSASL_AUTHID, "ann"}, {GSASL_PASSWORD, "secret"}});
    CHECK(good.accepted);
    CHECK(good.login == "ann");
    CHECK_FALSE(log_in({{GSASL_AUTHID, "ann"}, {GSASL_PASSWORD, "Secret"}}).accepted);
    CHECK_FALSE(log_in({{GSASL_AUTHID, "bob"}, {GSASL_PASSWORD, "secret"}}).accepted);
    CHECK(log_in({{GSASL_AUTHID, "ann"}, {GSASL_AUTHZID, "ann"}, {GSASL_PASSWORD, "secret"}})
              .accepted);
    Client as_root("SCRAM-SHA-256",
                   {{GSASL_AUTHID, "ann"}, {GSASL_AUTHZID, "root"}, {GSASL_PASSWORD, "secret"}});
    ScramExchange server(ScramKind::plain, keys_of, {});
    CHECK_FALSE(talk(as_root, server).accepted);
}

TEST_CASE("what is no message of SCRAM is refused (S14)") {
    for (const std::string message : {"x", "n,,", "n,,n=,r=abc", "n,,n=ann,r=", "n,,r=abc,n=ann",
                                      "n,,m=1,n=ann,r=abc", "q,,n=ann,r=abc"}) {
        ScramExchange server(ScramKind::plain, keys_of, {});
        const auto step = server.step(message);
        REQUIRE(std::holds_alternative<ScramVerdict>(step));
        CHECK_FALSE(std::get<ScramVerdict>(step).accepted);
    }
    ScramExchange server(ScramKind::plain, keys_of, {});
    REQUIRE(std::holds_alternative<ScramChallenge>(server.step("n,,n=ann,r=abc")));
    CHECK(std::holds_alternative<ScramVerdict>(server.step("c=biws,r=other,p=AAAA")));
}

TEST_CASE("after its proof the server hears an empty line, or the login failed") {
    Client client("SCRAM-SHA-256", {{GSASL_AUTHID, "ann"}, {GSASL_PASSWORD, "secret"}});
    ScramExchange server(ScramKind::plain, keys_of, {});
    auto step = server.step(client.step(""));
    step = server.step(client.step(std::get<ScramChallenge>(step).octets));
    CHECK(std::get<ScramChallenge>(step).octets.starts_with("v="));
    CHECK_FALSE(std::get<ScramVerdict>(server.step("x")).accepted);
}

TEST_CASE("-PLUS binds to the channel: what another connection saw is of no use") {
    const std::string ours(32, 'a');
    const std::string others(32, 'b');
    const auto exporter = [](const std::string& octets) {
        return std::pair{GSASL_CB_TLS_EXPORTER, encode_base64(octets)};
    };
    const auto unique = [](const std::string& octets) {
        return std::pair{GSASL_CB_TLS_UNIQUE, encode_base64(octets)};
    };
    CHECK(log_in_bound({exporter(ours)}, {ours, ""}).accepted);
    CHECK_FALSE(log_in_bound({exporter(others)}, {ours, ""}).accepted);
    CHECK(log_in_bound({unique(ours)}, {"", ours}).accepted);
    CHECK(log_in_bound({unique(ours)}, {others, ours}).accepted);
    CHECK_FALSE(log_in_bound({unique(others)}, {others, ours}).accepted);
}

TEST_CASE("a client that was told there is no -PLUS, although there is, is refused") {
    const std::string first = "y,,n=ann,r=abc";
    ScramExchange offers_more(ScramKind::plain, keys_of, {std::string(32, 'a'), ""});
    CHECK(std::holds_alternative<ScramVerdict>(offers_more.step(first)));
    ScramExchange offers_none(ScramKind::plain, keys_of, {});
    CHECK(std::holds_alternative<ScramChallenge>(offers_none.step(first)));
}

TEST_CASE("keys of an unknown login look like any other's, and stay the same (S15)") {
    const auto keys = made_up_keys("one secret", "bob");
    CHECK(keys == made_up_keys("one secret", "bob"));
    CHECK(keys.salt != made_up_keys("one secret", "bob2").salt);
    CHECK(keys.salt != made_up_keys("another secret", "bob").salt);
    CHECK(keys.salt.size() == anns_keys.salt.size());
    CHECK(keys.iterations == anns_keys.iterations);
    CHECK(parse_scram_keys(to_text(keys)) == keys);
    CHECK_FALSE(make_scram_keys(std::string("a\0b", 3), "salt").has_value());
    CHECK_FALSE(make_scram_keys("a\x07", "salt").has_value());
}
