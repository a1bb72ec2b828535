#include "daemon/runtime/stream.h"

#include <doctest/doctest.h>

#include <array>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "daemon/runtime/tls.h"
#include "tests/unit/support/running_shard.h"
#include "tests/unit/support/temporary_directory.h"
#include "tests/unit/support/test_certificate.h"

using namespace posthorse;
using namespace posthorse::runtime;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

constexpr Duration patience = 30s;

// Two ends of one connection on loopback.
struct Pair {
    std::unique_ptr<Stream> client;
    std::unique_ptr<Stream> server;

    asio::awaitable<void> connect(Shard& shard) {
        tcp::acceptor acceptor(shard.context(), {asio::ip::address_v4::loopback(), 0});
        co_await connect(shard, acceptor);
    }
    asio::awaitable<void> connect(Shard& shard, tcp::acceptor& acceptor) {
        client = std::make_unique<Stream>(tcp::socket(shard.context()));
        const auto connected = co_await client->connect(acceptor.local_endpoint(), patience);
        REQUIRE(connected.has_value());
        server = std::make_unique<Stream>(co_await acceptor.async_accept(asio::use_awaitable));
    }
};

asio::awaitable<std::string> read_all(Stream& stream) {
    std::string text;
    std::array<char, 1000> piece{};
    for (;;) {
        const auto count = co_await stream.read_some(piece, patience);
        if (!count) co_return text;
        text.append(piece.data(), *count);
    }
}

asio::awaitable<void> echo_in_clear(Shard& shard) {
    Pair pair;
    co_await pair.connect(shard);
    CHECK((co_await pair.client->write("hello", patience)).has_value());
    pair.client->close();
    const auto text = co_await read_all(*pair.server);
    CHECK(text == "hello");
    const auto end = co_await pair.server->read_some(std::span<char>(), patience);
    CHECK_FALSE(pair.server->secure());
}

asio::awaitable<void> talk_on_this_machine(Shard& shard, std::string path) {
    using local = asio::local::stream_protocol;
    local::acceptor acceptor(shard.context(), local::endpoint(path));
    Stream client{tcp::socket(shard.context())};
    CHECK((co_await client.connect_local(path)).has_value());
    auto server = co_await acceptor.async_accept(asio::use_awaitable);
    CHECK((co_await client.write("hello", patience)).has_value());
    std::array<char, 5> heard{};
    co_await asio::async_read(server, asio::buffer(heard), asio::use_awaitable);
    CHECK(std::string_view(heard.data(), heard.size()) == "hello");
    CHECK(client.unsent_bytes() == 0);
    co_await asio::async_write(server, asio::buffer("bye", 3), asio::use_awaitable);
    server.close();
    const auto text = co_await read_all(client);
    CHECK(text == "bye");
    client.reset();

    Stream nobody{tcp::socket(shard.context())};
    const auto missing = co_await nobody.connect_local(path + "-not");
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().what == "No such file or directory");
}

// A peer that reads nothing: its window closes in the end.
asio::awaitable<void> window_that_closes(Shard& shard) {
    Pair pair;
    co_await pair.connect(shard);
    CHECK(pair.client->would_leave_at_once(14'000));
    CHECK((co_await pair.client->write(std::string(6'000, 'x'), patience)).has_value());
    CHECK(pair.client->would_leave_at_once(14'000));  // acknowledged or not
    const std::string more(1'000'000, 'x');
    while ((co_await pair.client->write(more, 50ms)).has_value()) {
    }
    CHECK(pair.client->unsent_bytes() > 0);
    CHECK_FALSE(pair.client->would_leave_at_once(0));
}

asio::awaitable<void> silent_peer(Shard& shard) {
    Pair pair;
    co_await pair.connect(shard);
    std::array<char, 10> piece{};
    const auto count = co_await pair.server->read_some(piece, 20ms);
    REQUIRE_FALSE(count.has_value());
    CHECK(count.error().end == IoEnd::timed_out);
}

asio::awaitable<void> deadline_of_one_operation_spares_the_next(Shard& shard) {
    Pair pair;
    co_await pair.connect(shard);
    std::array<char, 10> piece{};
    for (int i = 0; i < 50; ++i) {
        CHECK((co_await pair.client->write("x", patience)).has_value());
        const auto count = co_await pair.server->read_some(piece, i % 2 == 0 ? 1ms : patience);
        // The short deadline may pass or not; the octet is there for whoever reads next.
        if (!count) CHECK((co_await pair.server->read_some(piece, patience)).has_value());
    }
}

asio::awaitable<void> hasten_later(Stream& stream, Duration time) {
    co_await asio::post(asio::use_awaitable);  // behind what the caller begins
    stream.hasten(time);
}

asio::awaitable<void> a_read_is_hastened(Shard& shard) {
    Pair pair;
    co_await pair.connect(shard);
    std::array<char, 10> piece{};
    TaskGroup other(shard);
    pair.server->hasten(1ms);  // nothing is under way
    other.spawn(hasten_later(*pair.server, 20ms));
    const auto count = co_await pair.server->read_some(piece, patience);
    REQUIRE_FALSE(count.has_value());
    CHECK(count.error().end == IoEnd::timed_out);
    // What has less time than that keeps it, and the next operation has its own.
    other.spawn(hasten_later(*pair.server, patience));
    CHECK_FALSE((co_await pair.server->read_some(piece, 20ms)).has_value());
    CHECK((co_await pair.client->write("x", patience)).has_value());
    CHECK((co_await pair.server->read_some(piece, patience)).has_value());
    co_await other.join();
}

asio::awaitable<void> last_words(Shard& shard) {
    Pair pair;
    co_await pair.connect(shard);
    const std::string unread(100'000, 'x');
    CHECK((co_await pair.client->write(unread, patience)).has_value());
    CHECK((co_await pair.server->write("421 bye", patience)).has_value());
    TaskGroup other(shard);
    other.spawn(pair.server->close_in_order());
    CHECK(co_await read_all(*pair.client) == "421 bye");
    pair.client->close();
    co_await other.join();
}

asio::awaitable<void> reset_is_an_end(Shard& shard) {
    Pair pair;
    co_await pair.connect(shard);
    pair.client->reset();
    std::array<char, 10> piece{};
    const auto count = co_await pair.server->read_some(piece, patience);
    REQUIRE_FALSE(count.has_value());
    CHECK(count.error().end == IoEnd::closed);
}

asio::awaitable<void> server_side(Stream& stream,
                                  std::shared_ptr<asio::ssl::context> context,
                                  IoResult<TlsInfo>& shaken,
                                  std::string& heard) {
    shaken = co_await stream.server_handshake(std::move(context), patience);
    heard = co_await read_all(stream);
    co_await stream.close_in_order();
}

asio::awaitable<void> talk_under_tls(RunningShard& shard,
                                     std::shared_ptr<asio::ssl::context> context) {
    Pair pair;
    co_await pair.connect(shard.get());
    IoResult<TlsInfo> shaken = IoError{};
    std::string heard;
    TaskGroup other(shard.get());
    other.spawn(server_side(*pair.server, std::move(context), shaken, heard));
    const auto info =
        co_await pair.client->client_handshake(make_client_context(), "localhost", patience);
    REQUIRE(info.has_value());
    CHECK(info->description.starts_with("TLSv1.3 TLS_"));
    CHECK(info->peer_name.find("localhost") != std::string::npos);
    const std::string big(300'000, 'm');
    CHECK((co_await pair.client->write(big, patience)).has_value());
    co_await pair.client->close_in_order();
    co_await other.join();
    CHECK(shaken.has_value());
    CHECK(heard == big);
}

// A client hears of a session some time after the handshake: with what the server says then.
asio::awaitable<void> greet_and_close(Stream& stream, std::shared_ptr<asio::ssl::context> context) {
    const auto shaken = co_await stream.server_handshake(std::move(context), patience);
    CHECK(shaken.has_value());
    static_cast<void>(co_await stream.write("220 here\r\n", patience));
    co_await stream.close_in_order();
}

using Context = std::shared_ptr<asio::ssl::context>;

struct Certified {
    Certified() {
        write_test_certificate(place.path());
        context = make_server_context({certificate(), place.path() + "/key.pem"});
        REQUIRE(context.has_value());
    }
    std::string certificate() const { return place.path() + "/cert.pem"; }

    TemporaryDirectory place;
    Result<Context> context = Error{Errc::invalid, "not made yet"};
};

struct Server {
    Server(Shard& shard, Context its_context)
        : shard_(shard),
          context_(std::move(its_context)),
          acceptor_(shard.context(), {asio::ip::address_v4::loopback(), 0}) {}

    asio::awaitable<TlsInfo> meet(Context client, std::string host) {
        Pair pair;
        co_await pair.connect(shard_, acceptor_);
        TaskGroup other(shard_);
        other.spawn(greet_and_close(*pair.server, context_));
        const auto info = co_await pair.client->client_handshake(client, host, patience);
        CHECK(co_await read_all(*pair.client) == "220 here\r\n");
        co_await pair.client->close_in_order();
        co_await other.join();
        co_return info.has_value() ? *info : TlsInfo{};
    }

private:
    Shard& shard_;
    Context context_;
    tcp::acceptor acceptor_;
};

asio::awaitable<void> meet_again(Shard& shard, Context context, std::string trusted) {
    Server server(shard, context);
    Server another(shard, context);
    const auto client = make_client_context();
    client->load_verify_file(trusted);
    const auto first = co_await server.meet(client, "localhost");
    CHECK_FALSE(first.resumed);
    CHECK(first.verified);
    for (int times = 0; times < 2; ++times) {
        const auto again = co_await server.meet(client, "localhost");
        CHECK(again.resumed);
        CHECK(again.verified);
        CHECK(again.peer_name == first.peer_name);
    }
    const auto misled = co_await server.meet(client, "other.test");
    CHECK_FALSE(misled.resumed);
    CHECK_FALSE(misled.verified);
    const auto still_misled = co_await server.meet(client, "other.test");
    CHECK(still_misled.resumed);
    CHECK_FALSE(still_misled.verified);
    const auto nameless = co_await server.meet(client, "");
    CHECK_FALSE(nameless.resumed);
    CHECK_FALSE((co_await server.meet(client, "")).verified);
    CHECK_FALSE((co_await another.meet(client, "localhost")).resumed);
    CHECK_FALSE((co_await server.meet(make_client_context(), "localhost")).resumed);
}

asio::awaitable<void> clear_text_for_tls(Shard& shard,
                                         std::shared_ptr<asio::ssl::context> context) {
    Pair pair;
    co_await pair.connect(shard);
    CHECK((co_await pair.client->write("EHLO example.org\r\n", patience)).has_value());
    const auto shaken = co_await pair.server->server_handshake(std::move(context), patience);
    CHECK_FALSE(shaken.has_value());
}

}  // namespace

TEST_CASE("bytes go through in clear, and the end of the peer is seen") {
    RunningShard shard;
    shard.run(echo_in_clear(shard.get()));
}

TEST_CASE("a Unix socket is a stream as any other") {
    TemporaryDirectory place;
    RunningShard shard;
    shard.run(talk_on_this_machine(shard.get(), place.path() + "/socket"));
}

TEST_CASE("what waits in the kernel would not leave at once, what only is not acknowledged does") {
    RunningShard shard;
    shard.run(window_that_closes(shard.get()));
}

TEST_CASE("a deadline ends an operation") {
    RunningShard shard;
    shard.run(silent_peer(shard.get()));
}

TEST_CASE("a deadline that passes late does not hit the next operation") {
    RunningShard shard;
    shard.run(deadline_of_one_operation_spares_the_next(shard.get()));
}

TEST_CASE("an operation that waits can be given less time") {
    RunningShard shard;
    shard.run(a_read_is_hastened(shard.get()));
}

TEST_CASE("what is said last is heard, whatever was left unread") {
    RunningShard shard;
    shard.run(last_words(shard.get()));
}

TEST_CASE("a reset by the peer is an end like a close") {
    RunningShard shard;
    shard.run(reset_is_an_end(shard.get()));
}

TEST_CASE("TLS both ways, in pieces larger than a record") {
    Certified server;
    RunningShard shard;
    shard.run(talk_under_tls(shard, *server.context));
    shard.run(clear_text_for_tls(shard.get(), *server.context));
}

TEST_CASE("a server that is met again is not asked for its certificate, and is judged as before") {
    Certified server;
    RunningShard shard;
    shard.run(meet_again(shard.get(), *server.context, server.certificate()));
}

TEST_CASE("a certificate that cannot be used is named with its fault") {
    TemporaryDirectory place;
    write_test_certificate(place.path());
    const auto missing =
        make_server_context({place.path() + "/none.pem", place.path() + "/key.pem"});
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().what.find("none.pem") != std::string::npos);
    const auto swapped =
        make_server_context({place.path() + "/key.pem", place.path() + "/cert.pem"});
    REQUIRE_FALSE(swapped.has_value());
    CHECK(swapped.error().what.find("no certificate chain") != std::string::npos);
}
