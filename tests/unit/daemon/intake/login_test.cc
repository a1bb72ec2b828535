// AUTH over real sockets and TLS, with GNU SASL's client and by hand.
#include <doctest/doctest.h>
#include <gsasl.h>

#include <map>
#include <optional>

#include "proto/smtp/base64.h"
#include "tests/unit/daemon/intake/intake_fixture.h"

using namespace posthorse;
using namespace posthorse::tests;
using smtp::decode_base64;
using smtp::encode_base64;

namespace {

using Says = std::map<Gsasl_property, std::string>;

class Sasl {
public:
    Sasl(const char* mechanism, const Says& says) {
        REQUIRE(gsasl_init(&library_) == GSASL_OK);
        REQUIRE(gsasl_client_start(library_, mechanism, &session_) == GSASL_OK);
        for (const auto& [property, value] : says)
            gsasl_property_set(session_, property, value.c_str());
    }
    ~Sasl() {
        gsasl_finish(session_);
        gsasl_done(library_);
    }
    Sasl(const Sasl&) = delete;
    Sasl& operator=(const Sasl&) = delete;

    std::string step(const std::string& challenge) {
        char* said = nullptr;
        std::size_t size = 0;
        gsasl_step(session_, challenge.data(), challenge.size(), &said, &size);
        std::string octets(said == nullptr ? "" : said, size);
        gsasl_free(said);
        return octets;
    }

private:
    Gsasl* library_ = nullptr;
    Gsasl_session* session_ = nullptr;
};

// The last reply.
std::string log_in(Client& client, const char* mechanism, const Says& says) {
    Sasl sasl(mechanism, says);
    auto reply = client.say(std::string("AUTH ") + mechanism + ' ' + encode_base64(sasl.step("")));
    while (reply.starts_with("334 "))
        reply = client.say(encode_base64(sasl.step(*decode_base64(reply.substr(4)))));
    return reply;
}

std::string greet(Client& client) {
    client.greeting();
    return client.say("EHLO client.example.org");
}

Says ann(const std::string& password) {
    return {{GSASL_AUTHID, "ann@example.org"}, {GSASL_PASSWORD, password}};
}

std::string plain(const std::string& login, const std::string& password) {
    return "AUTH PLAIN " + encode_base64(std::string(1, '\0') + login + '\0' + password);
}

}  // namespace

TEST_CASE("SCRAM-SHA-256 and, bound to the channel, -PLUS log in under TLS 1.3") {
    IntakeFixture intake;
    Client client(intake.port("submissions"), true);
    CHECK(greet(client).find("AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN") !=
          std::string::npos);
    CHECK(log_in(client, "SCRAM-SHA-256", ann("wrong")) == "535 5.7.8 authentication failed");
    CHECK(log_in(client, "SCRAM-SHA-256", ann("secret")).starts_with("235 2.7.0"));
    Client bound(intake.port("submissions"), true);
    greet(bound);
    auto says = ann("secret");
    says[GSASL_CB_TLS_EXPORTER] = encode_base64(std::string(32, 'x'));
    CHECK(log_in(bound, "SCRAM-SHA-256-PLUS", says).starts_with("535 5.7.8"));
    says[GSASL_CB_TLS_EXPORTER] = encode_base64(bound.tls_exporter());
    CHECK(log_in(bound, "SCRAM-SHA-256-PLUS", says).starts_with("235 2.7.0"));
}

TEST_CASE("-PLUS under TLS 1.2 binds to tls-unique") {
    IntakeFixture intake;
    Client client(intake.port("submission"));
    CHECK(greet(client).find("AUTH") == std::string::npos);
    REQUIRE(client.say("STARTTLS").starts_with("220"));
    client.at_most_tls12();
    client.start_tls();
    CHECK(client.say("EHLO client.example.org").find("SCRAM-SHA-256-PLUS") != std::string::npos);
    auto says = ann("secret");
    says[GSASL_CB_TLS_UNIQUE] = encode_base64(client.tls_unique());
    CHECK(log_in(client, "SCRAM-SHA-256-PLUS", says).starts_with("235 2.7.0"));
}

TEST_CASE("a client that could have bound itself, and was told it cannot, is refused") {
    IntakeFixture intake;
    Client client(intake.port("submissions"), true);
    greet(client);
    CHECK(client.say("AUTH SCRAM-SHA-256 " + encode_base64("y,,n=ann@example.org,r=abc"))
              .starts_with("535 5.7.8"));
}

TEST_CASE("only what the configuration names is offered, and SCRAM only where keys are") {
    auto config = IntakeFixture::default_config();
    config.auth.mechanisms = {"LOGIN", "SCRAM-SHA-256-PLUS"};
    config.intake.trusted_networks = {"127.0.0.0/8"};
    IntakeFixture intake(config);
    Client clear(intake.port("submission"));
    CHECK(greet(clear).find("AUTH LOGIN\n") != std::string::npos);  // no channel to bind to
    CHECK(clear.say("AUTH SCRAM-SHA-256-PLUS =").starts_with("504 5.5.4"));
    Client client(intake.port("submissions"), true);
    CHECK(greet(client).find("AUTH LOGIN SCRAM-SHA-256-PLUS\n") != std::string::npos);
    CHECK(client.say(plain("ann@example.org", "secret")).starts_with("504 5.5.4"));
}

TEST_CASE("an unknown login and a wrong password hear the same, step by step (S15)") {
    IntakeFixture intake;
    Client client(intake.port("submissions"), true);
    greet(client);
    CHECK(client.say(plain("ann@example.org", "wrong")) ==
          client.say(plain("nobody@example.org", "wrong")));
    const auto salt_of = [&](const std::string& login) {
        const auto first =
            client.say("AUTH SCRAM-SHA-256 " + encode_base64("n,,n=" + login + ",r=abc"));
        REQUIRE(first.starts_with("334 "));
        const auto message = *decode_base64(first.substr(4));
        CHECK(message.ends_with(",i=65536"));
        CHECK(client.say("*").starts_with("501"));
        return message.substr(message.find(",s="));
    };
    CHECK(salt_of("nobody@example.org") == salt_of("nobody@example.org"));
    CHECK(salt_of("nobody@example.org").size() == salt_of("ann@example.org").size());
    auto says = ann("secret");
    says[GSASL_AUTHID] = "nobody@example.org";
    CHECK(log_in(client, "SCRAM-SHA-256", says) == log_in(client, "SCRAM-SHA-256", ann("wrong")));
}

TEST_CASE("malformed messages of every mechanism leave the session usable (S14)") {
    IntakeFixture intake;
    Client client(intake.port("submissions"), true);
    greet(client);
    CHECK(client.say("AUTH SCRAM-SHA-256") == "334 ");
    CHECK(client.say("nonsense!").starts_with("501 5.5.2"));
    CHECK(client.say("AUTH SCRAM-SHA-256") == "334 ");
    CHECK(client.say("").starts_with("334 "));  // an empty message: still the client's turn
    CHECK(client.say("*").starts_with("501"));
    CHECK(client.say("AUTH SCRAM-SHA-256 " + encode_base64("n,,n=ann@example.org"))
              .starts_with("535 5.7.8"));
    CHECK(client.say("AUTH LOGIN") == "334 VXNlcm5hbWU6");
    CHECK(client.say("*").starts_with("501"));
    CHECK(client.say(plain("ann@example.org", "secret")).starts_with("235"));
    CHECK(client.say(plain("ann@example.org", "secret")).starts_with("503"));
}

TEST_CASE("failed logins of a client end in 421, whatever the mechanism and the login (S16)") {
    auto config = IntakeFixture::default_config();
    config.auth.failures_per_client_max = 3;
    IntakeFixture intake(config);
    for (const char* login : {"ann@example.org", "bob@example.org", "x"}) {
        Client client(intake.port("submissions"), true);
        greet(client);
        CHECK(client.say(plain(login, "wrong")).starts_with("535"));
    }
    Client client(intake.port("submissions"), true);
    greet(client);
    CHECK(client.say(plain("ann@example.org", "secret")).starts_with("421 4.7.0"));
    CHECK(client.at_end());
    Client other(intake.port("mx"));
    CHECK(greet(other).starts_with("250"));  // mail from there still comes in
}

TEST_CASE("a login that failed often is slow, not locked, for its owner (S16)") {
    auto config = IntakeFixture::default_config();
    config.auth.failures_per_login_max = 2;
    config.auth.failure_delay = Duration{1};
    IntakeFixture intake(config);
    Client client(intake.port("submissions"), true);
    greet(client);
    for (int i = 0; i < 8; ++i)
        CHECK(client.say(plain("ann@example.org", "wrong")).starts_with("535"));
    CHECK(client.say(plain("ann@example.org", "secret")).starts_with("235"));
    CHECK(intake.registry.text().find("posthorse_auth_delayed_total 7") != std::string::npos);
}

TEST_CASE("a sender's messages of a day are counted by login; beyond the limit 450") {
    auto config = IntakeFixture::default_config();
    config.limits.sender_messages_per_day = 2;
    IntakeFixture intake(config);
    for (int i = 0; i < 2; ++i) {
        Client client(intake.port("submissions"), true);
        greet(client);
        REQUIRE(client.say(plain("ann@example.org", "secret")).starts_with("235"));
        CHECK(client.say("MAIL FROM:<ann@example.org>").starts_with("250"));
        CHECK(client.say("RCPT TO:<bob@example.net>").starts_with("250"));
        CHECK(client.say("DATA").starts_with("354"));
        CHECK(client.say("From: ann@example.org\r\n\r\nhi\r\n.").starts_with("250"));
    }
    Client client(intake.port("submissions"), true);
    greet(client);
    REQUIRE(client.say(plain("ann@example.org", "secret")).starts_with("235"));
    CHECK(client.say("MAIL FROM:<ann@example.org>").starts_with("450 4.7.1"));
    Client stranger(intake.port("mx"));
    greet(stranger);
    CHECK(stranger.say("MAIL FROM:<ann@example.org>").starts_with("250"));
}

TEST_CASE("the From field must be the login's where that is wanted (S17)") {
    auto config = IntakeFixture::default_config();
    config.auth.check_from = true;
    IntakeFixture intake(config);
    Client client(intake.port("submissions"), true);
    greet(client);
    REQUIRE(client.say(plain("ann@example.org", "secret")).starts_with("235"));
    const auto send = [&](const std::string& text) {
        client.say("MAIL FROM:<ann@example.org>");
        client.say("RCPT TO:<bob@example.net>");
        client.say("DATA");
        return client.say(text + "\r\n.");
    };
    CHECK(send("From: Boss <boss@example.org>\r\n\r\npay").starts_with("550 5.7.1"));
    CHECK(send("From: Ann <ann@example.org>\r\n\r\nhi").starts_with("250"));
    CHECK(send("Subject: no author\r\n\r\nhi").starts_with("250"));  // it is added
}
