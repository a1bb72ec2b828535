#include "daemon/report/delivery_log.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <regex>

#include "tests/unit/daemon/report/samples.h"

using namespace posthorse;
using namespace posthorse::report;
using namespace std::chrono_literals;

namespace {

std::string line_of(const RecipientOutcome& outcome,
                    std::string address = "bob@example.net",
                    Addresses addresses = Addresses::shown) {
    return delivery_line(sample_envelope({std::move(address)}), outcome, addresses);
}

bool has(const std::string& line, std::string_view part) {
    return line.find(part) != std::string::npos;
}

std::size_t count(const std::string& line, const std::string& pattern) {
    const std::regex regex(pattern);
    return static_cast<std::size_t>(std::distance(
        std::sregex_iterator(line.begin(), line.end(), regex), std::sregex_iterator()));
}

}  // namespace

TEST_CASE("a delivery's line is sendmail's") {
    const auto id = sample_envelope().id.to_string();
    CHECK(line_of(delivered(0)) ==
          id +
              ": to=<bob@example.net>, relay=mx.example.net[192.0.2.1]:25, delay=0.52, attempts=1, "
              "tls=TLSv1.3/TLS_AES_256_GCM_SHA384, dsn=2.0.0, stat=Sent (250 2.0.0 ok)");
    CHECK(line_of(deferred(0)).ends_with(", dsn=4.2.0, stat=Deferred: 450 4.2.0 try later"));
    CHECK(line_of(failed(0)).ends_with(", dsn=5.1.1, stat=User unknown (550 5.1.1 no such user)"));
}

TEST_CASE("each kind of failure has its word and a status of its class") {
    const auto ending = [](Reply reply, OutcomeKind kind = OutcomeKind::failed) {
        const auto line = line_of(outcome_of(0, kind, std::move(reply)));
        return line.substr(line.find("dsn="));
    };
    CHECK(ending({550, {5, 1, 2}, "x"}) == "dsn=5.1.2, stat=Host unknown (550 5.1.2 x)");
    CHECK(ending({554, {5, 6, 0}, "x"}) == "dsn=5.6.0, stat=Data format error (554 5.6.0 x)");
    CHECK(ending({554, {5, 7, 1}, "x"}) == "dsn=5.7.1, stat=Service unavailable (554 5.7.1 x)");
    CHECK(ending({550, {}, "x"}) == "dsn=5.0.0, stat=Service unavailable (550 x)");
    CHECK(ending({450, {4, 2, 0}, "x"}) == "dsn=5.4.7, stat=Expired (450 4.2.0 x)");
    CHECK(ending({0, {}, ""}, OutcomeKind::deferred) == "dsn=4.0.0, stat=Deferred: no reply");
    CHECK(ending({250, {}, "ok"}, OutcomeKind::delivered) == "dsn=2.0.0, stat=Sent (250 ok)");
    CHECK(ending({550, {4, 1, 1}, "odd"}) == "dsn=5.0.0, stat=Service unavailable (550 4.1.1 odd)");
}

TEST_CASE("an attempt that reached nobody says so") {
    auto outcome = deferred(0);
    outcome.status.remote.clear();
    outcome.status.tls.clear();
    CHECK(has(line_of(outcome), ", relay=none, "));
    CHECK(has(line_of(outcome), ", tls=none, "));
}

TEST_CASE("delay and attempts count from the acceptance") {
    auto envelope = sample_envelope();
    envelope.recipients[0].attempts = 4;
    auto outcome = deferred(0);
    outcome.status.at = accepted + 2h + 3ms;
    CHECK(has(delivery_line(envelope, outcome, Addresses::shown), ", delay=7200.00, attempts=5, "));
    outcome.status.at = accepted - 5s;  // the clock was set back
    CHECK(has(delivery_line(envelope, outcome, Addresses::shown), ", delay=0.00, "));
    outcome.status.at = accepted + 90ms;
    CHECK(has(delivery_line(envelope, outcome, Addresses::shown), ", delay=0.09, "));
}

TEST_CASE("strangers' octets neither end the line nor pass for a field") {
    auto outcome = deferred(0);
    outcome.status.reply.text = "no\r\nstat=Sent\x1b[31m\x80, dsn=2.0.0, to=<a@b>, stat=Sent (250)";
    outcome.status.remote = "mx, stat=Sent\n[192.0.2.1]:25";
    outcome.status.tls = "TLS, dsn=2.0.0";
    const auto line = line_of(outcome, "\"x>, stat=Sent, dsn=2.0.0\n\"@example.net");
    CHECK(std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; }));
    CHECK(count(line, ", stat=") == 1);
    CHECK(count(line, ", dsn=") == 1);
    CHECK(count(line, "to=<") == 1);
    CHECK(count(line, ", relay=") == 1);
    CHECK(count(line, "stat=Sent \\(") == 0);
    CHECK(count(line, "stat=Deferred: ") == 1);
}

TEST_CASE("a reply of any length is cut") {
    auto outcome = deferred(0);
    outcome.status.reply.text = std::string(100'000, 'x');
    CHECK(line_of(outcome).size() < 1000);
}

TEST_CASE("masked lines show where mail goes, not to whom") {
    auto outcome = failed(0);
    outcome.status.reply.text = "<bob@example.net>: bob.o+tag@other.example is unknown";
    const auto line = line_of(outcome, "bob@example.net", Addresses::masked);
    CHECK(has(line, "to=<*@example.net>"));
    CHECK_FALSE(has(line, "bob"));
    CHECK(has(line, "<*@example.net>: *@other.example is unknown"));
    CHECK(
        has(line_of(failed(0), "\"b o b\"@example.net", Addresses::masked), "to=<*@example.net>"));
    CHECK(has(line_of(failed(0), "postmaster", Addresses::masked), "to=<*>"));
}

TEST_CASE("masking leaves everything but local parts") {
    CHECK(mask_addresses("") == "");
    CHECK(mask_addresses("no address") == "no address");
    CHECK(mask_addresses("a@b c@d") == "*@b *@d");
    CHECK(mask_addresses("@b @") == "@b @");
    CHECK(mask_addresses("a@b@c") == "*@*@c");
}
