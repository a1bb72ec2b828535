#include "daemon/admin/admin_service.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "proto/types/limits.h"
#include "tests/unit/daemon/admin/admin_client.h"

namespace posthorse::admin {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;
using test::act_on;
using test::act_on_all;
using test::Client;
using test::Node;
using test::noon;

const std::string unknown_id = "7ZZZZZZZZZZZZZZZZZZZZZZZZZ";

TEST_CASE("GetStatus joins the node's figures with the queue's") {
    Node node;
    Client client(node);
    node.add("a@test", {"b@test"});
    node.on_home([&] {
        node.status.not_ready_why = "the store failed";
        node.status.disk_free_bytes = 7'000'000'000;
        node.status.set_aside = 2;
    });
    grpc::ClientContext call;
    v1::GetStatusResponse status;
    REQUIRE(client.stub->GetStatus(&call, {}, &status).ok());
    CHECK(status.messages() == 1);
    CHECK(status.host_name() == "node.test");
    CHECK(status.disk_free_bytes() == 7'000'000'000);
    CHECK(status.set_aside() == 2);
    CHECK_FALSE(status.ready());
    CHECK(status.not_ready_reason() == "the store failed");
    CHECK(status.start_time().seconds() == noon.time_since_epoch() / 1s);
}

TEST_CASE("ListMessages: an empty queue is one empty page") {
    Node node;
    Client client(node);
    v1::ListMessagesResponse page;
    REQUIRE(client.list({}, page).ok());
    CHECK(page.messages().empty());
    CHECK(page.next_page_token().empty());
}

TEST_CASE("ListMessages: pages of any size hold every message once, in order of ids") {
    Node node;
    Client client(node);
    std::vector<std::string> ids;
    for (int i = 0; i < 205; ++i) ids.push_back(node.add("a@test", {"b@test"}).to_string());
    std::ranges::sort(ids);
    for (const int size : {0, 1, 100, 101, 205, 1000}) {
        v1::ListMessagesRequest request;
        request.set_page_size(size);
        std::vector<std::string> seen;
        for (const auto& message : client.list_all(request)) seen.push_back(message.id());
        CHECK_MESSAGE(seen == ids, "page size ", size);
    }
}

TEST_CASE("ListMessages: a page is bounded in bytes, whatever was asked for") {
    Node node;
    Client client(node);
    const std::vector<std::string> many(1000, std::string(60, 'x') + "@example.test");
    for (int i = 0; i < 30; ++i) node.add("a@test", many);
    v1::ListMessagesRequest request;
    request.set_page_size(1000);
    v1::ListMessagesResponse page;
    REQUIRE(client.list(request, page).ok());
    CHECK(page.messages_size() < 30);
    CHECK(page.ByteSizeLong() < 2 * 1024 * 1024);
    CHECK_FALSE(page.next_page_token().empty());
    CHECK(client.list_all(request).size() == 30);
}

TEST_CASE("ListMessages: filters, states and what is shown of a message") {
    Node node;
    Client client(node);
    node.clock.set(noon - 1h);
    const auto old = node.add("a@one.test", {"b@two.test"});
    node.clock.set(noon);
    const auto held = node.add("", {"c@three.test"});
    const auto active = node.add("d@one.test", {"e@two.test"});
    node.act(held, replication::Action::hold, "poison");
    node.on_home([&] { node.delivering.insert(active); });

    const auto ids = [&](auto set) {
        v1::ListMessagesRequest request;
        set(*request.mutable_filter());
        std::vector<std::string> found;
        for (const auto& message : client.list_all(request)) found.push_back(message.id());
        return found;
    };
    using Ids = std::vector<std::string>;
    CHECK(ids([](auto& f) { f.set_sender("*@one.test"); }) ==
          Ids{old.to_string(), active.to_string()});
    CHECK(ids([](auto& f) { f.set_sender("<>"); }) == Ids{held.to_string()});
    CHECK(ids([](auto& f) { f.set_domain("THREE.test"); }) == Ids{held.to_string()});
    CHECK(ids([](auto& f) { f.mutable_older_than()->set_seconds(60); }) == Ids{old.to_string()});
    CHECK(ids([](auto& f) { f.set_state(v1::MESSAGE_STATE_ACTIVE); }) == Ids{active.to_string()});
    CHECK(ids([](auto& f) { f.set_state(v1::MESSAGE_STATE_DEFERRED); }) == Ids{old.to_string()});

    v1::Message message;
    REQUIRE(client.get(held.to_string(), message).ok());
    CHECK(message.state() == v1::MESSAGE_STATE_HELD);
    CHECK(message.held_reason() == "poison");
    CHECK_FALSE(message.has_due_time());
    REQUIRE(message.recipients_size() == 1);
    CHECK(message.recipients(0).state() == v1::RECIPIENT_STATE_PENDING);
    CHECK_FALSE(message.recipients(0).has_last_attempt_time());
}

TEST_CASE("ListMessages: malformed requests are refused with the field's name") {
    Node node;
    Client client(node);
    v1::ListMessagesResponse page;
    const auto refused = [&](const char* field, auto set) {
        v1::ListMessagesRequest request;
        set(request);
        const auto status = client.list(request, page);
        CHECK(status.error_code() == StatusCode::INVALID_ARGUMENT);
        CHECK_MESSAGE(status.error_message().find(field) != std::string::npos,
                      status.error_message());
    };
    refused("page_size", [](auto& r) { r.set_page_size(-1); });
    refused("page_size", [](auto& r) { r.set_page_size(1001); });
    refused("page_token", [](auto& r) { r.set_page_token("../../etc/passwd"); });
    refused("sender", [](auto& r) { r.mutable_filter()->set_sender("*"); });
    refused("recipient", [](auto& r) { r.mutable_filter()->set_recipient("a*@b"); });
    refused("id_prefix", [](auto& r) { r.mutable_filter()->set_id_prefix("!"); });
    refused("id_prefix", [](auto& r) { r.mutable_filter()->set_id_prefix(std::string(99, '0')); });
    refused("older_than",
            [](auto& r) { r.mutable_filter()->mutable_older_than()->set_seconds(-1); });
    refused("newer_than",
            [](auto& r) { r.mutable_filter()->mutable_newer_than()->set_seconds(INT64_MAX); });
    refused("message_id", [](auto& r) { r.mutable_filter()->set_message_id("<>"); });
    refused("reply", [](auto& r) { r.mutable_filter()->set_reply(std::string(257, 'x')); });
    refused("text", [](auto& r) { r.mutable_filter()->set_text(std::string(257, 'x')); });
    refused("state",
            [](auto& r) { r.mutable_filter()->set_state(static_cast<v1::MessageState>(77)); });
}

TEST_CASE("GetMessage: texts of strangers arrive as printable ASCII") {
    Node node;
    Client client(node);
    const auto id = node.add("a\x1b[31m\xff@test", {"b\n@test"});
    v1::Message message;
    REQUIRE(client.get(id.to_string(), message).ok());
    CHECK(message.sender() == "a?[31m?@test");
    CHECK(message.recipients(0).address() == "b @test");
}

TEST_CASE("ids: malformed ones are invalid, others are not found") {
    Node node;
    Client client(node);
    v1::Message message;
    std::string content;
    for (const auto* bad : {"", "x", "../admin.sock", "01234567890123456789012345U"}) {
        CHECK(client.get(bad, message).error_code() == StatusCode::INVALID_ARGUMENT);
        CHECK(client.read(bad, content).error_code() == StatusCode::INVALID_ARGUMENT);
    }
    CHECK(client.get(std::string(100'000, 'A'), message).error_code() ==
          StatusCode::INVALID_ARGUMENT);
    CHECK(client.get(unknown_id, message).error_code() == StatusCode::NOT_FOUND);
    CHECK(client.read(unknown_id, content).error_code() == StatusCode::NOT_FOUND);
}

TEST_CASE("ReadMessage gives the head and every chunk, octet for octet") {
    Node node;
    Client client(node);
    std::string octets;
    for (int i = 0; i < 256; ++i) octets += static_cast<char>(i);
    const std::vector<std::string> chunks{octets, std::string(chunk_bytes, 'x'), "\r\nend\r\n"};
    const auto id = node.add("a@test", {"b@test"}, noon, chunks);
    std::string content;
    REQUIRE(client.read(id.to_string(), content).ok());
    CHECK(content == Node::head + chunks[0] + chunks[1] + chunks[2]);
}

TEST_CASE("ReadMessage says so when the message leaves while it is read") {
    Node node;
    Client client(node);
    // More than a connection buffers, so that the server waits for its slow reader.
    const std::vector<std::string> chunks(96, std::string(chunk_bytes, 'x'));
    const auto id = node.add("a@test", {"b@test"}, noon, chunks);
    grpc::ClientContext call;
    v1::ReadMessageRequest request;
    request.set_id(id.to_string());
    const auto stream = client.stub->ReadMessage(&call, request);
    v1::ReadMessageResponse piece;
    REQUIRE(stream->Read(&piece));
    node.act(id, replication::Action::remove, "test");
    while (stream->Read(&piece)) {
    }
    CHECK(stream->Finish().error_code() == StatusCode::ABORTED);
}

TEST_CASE("Act: hold, resume, retry and remove by id") {
    Node node;
    Client client(node);
    const auto id = node.add("a@test", {"b@test"}, noon + 1h);
    const auto done = [&](v1::Action action) {
        auto request = act_on(action, {id.to_string()});
        request.set_reason("why");
        const auto results = client.act(request);
        REQUIRE(results.size() == 1);
        CHECK(results[0].id() == id.to_string());
        CHECK(results[0].outcome() == v1::ActResult::OUTCOME_DONE);
        return node.find(id);
    };
    CHECK(done(v1::ACTION_RETRY)->due_at == noon);
    const auto held = done(v1::ACTION_HOLD);
    CHECK(held->held);
    CHECK(held->held_why == "why");
    CHECK_FALSE(done(v1::ACTION_RESUME)->held);
    CHECK_FALSE(done(v1::ACTION_REMOVE).has_value());
}

TEST_CASE("Act: bounce goes to its port with the reason") {
    Node node;
    Client client(node);
    const auto id = node.add("a@test", {"b@test"});
    std::vector<std::string> bounced;
    node.on_home([&] {
        node.bounce = [&](QueueId which, std::string why, Completion<> done) {
            bounced.push_back(which.to_string() + " " + why);
            done(bounced.size() == 1 ? Result<void>{}
                                     : Result<void>{Error{Errc::conflict, "being delivered"}});
        };
    });
    auto request = act_on(v1::ACTION_BOUNCE, {id.to_string()});
    request.set_reason("wrong list");
    CHECK(client.act(request).at(0).outcome() == v1::ActResult::OUTCOME_DONE);
    const auto second = client.act(request).at(0);
    CHECK(second.outcome() == v1::ActResult::OUTCOME_REFUSED);
    CHECK(second.detail() == "being delivered");
    CHECK(bounced == std::vector<std::string>(2, id.to_string() + " wrong list"));
}

TEST_CASE("Act: each id is answered once, one that is not there stops no other") {
    Node node;
    Client client(node);
    std::vector<std::string> ids{unknown_id};
    for (int i = 0; i < 150; ++i) ids.push_back(node.add("a@test", {"b@test"}).to_string());
    ids.push_back(ids[1]);
    const auto results = client.act(act_on(v1::ACTION_REMOVE, ids));
    REQUIRE(results.size() == 151);
    const auto missing = std::ranges::count_if(results, [](const v1::ActResult& result) {
        return result.outcome() == v1::ActResult::OUTCOME_NOT_FOUND;
    });
    CHECK(missing == 1);
    CHECK(client.list_all({}).empty());
}

TEST_CASE("Act: a dry run tells and changes nothing") {
    Node node;
    Client client(node);
    const auto id = node.add("a@test", {"b@test"});
    auto request = act_on(v1::ACTION_REMOVE, {id.to_string(), unknown_id});
    request.set_dry_run(true);
    auto results = client.act(request);
    REQUIRE(results.size() == 2);
    std::ranges::sort(results, {}, [](const auto& result) { return result.outcome(); });
    CHECK(results[0].outcome() == v1::ActResult::OUTCOME_WOULD_ACT);
    CHECK(results[1].outcome() == v1::ActResult::OUTCOME_NOT_FOUND);
    CHECK(node.find(id).has_value());
}

TEST_CASE("Act: a filter takes what matches and leaves the rest, over several pages") {
    Node node;
    Client client(node);
    for (int i = 0; i < 250; ++i) {
        node.add(i % 2 == 0 ? "a@spam.test" : "a@ham.test", {"b@test"});
    }
    v1::ActRequest request;
    request.set_action(v1::ACTION_REMOVE);
    request.mutable_filter()->set_sender("*@spam.test");
    CHECK(client.act(request).size() == 125);
    const auto left = client.list_all({});
    CHECK(left.size() == 125);
    for (const auto& message : left) CHECK(message.sender() == "a@ham.test");
    CHECK(client.act(request).empty());
}

TEST_CASE("Act: what was accepted after the call began is left alone") {
    Node node;
    Client client(node);
    const auto before = node.add("a@test", {"b@test"});
    node.clock.set(noon + 1min);
    const auto after = node.add("a@test", {"b@test"});
    node.clock.set(noon);
    const auto results = client.act(act_on_all(v1::ACTION_REMOVE));
    REQUIRE(results.size() == 1);
    CHECK(results[0].id() == before.to_string());
    CHECK(node.find(after).has_value());
}

TEST_CASE("Act: malformed requests are refused whole") {
    Node node;
    Client client(node);
    const auto id = node.add("a@test", {"b@test"});
    const auto refused = [&](const v1::ActRequest& request) {
        std::vector<v1::ActResult> results;
        CHECK(client.act(request, results).error_code() == StatusCode::INVALID_ARGUMENT);
        CHECK(results.empty());
        CHECK(node.find(id)->held == false);
    };
    refused(act_on(v1::ACTION_HOLD));
    refused(act_on(v1::ACTION_UNSPECIFIED, {id.to_string()}));
    refused(act_on(static_cast<v1::Action>(99), {id.to_string()}));
    refused(act_on(v1::ACTION_HOLD, {id.to_string(), "x"}));
    refused(act_on(v1::ACTION_HOLD, std::vector<std::string>(1001, id.to_string())));
    auto none = act_on(v1::ACTION_HOLD);
    none.mutable_filter();
    refused(none);
    auto not_all = act_on(v1::ACTION_HOLD);
    not_all.set_all(false);
    refused(not_all);
}

TEST_CASE("Flush makes waiting messages due, held ones stay held") {
    Node node;
    Client client(node);
    const auto waiting = node.add("a@test", {"b@test"}, noon + 1h);
    const auto held = node.add("a@test", {"b@test"}, noon + 1h);
    node.add("a@test", {"b@test"}, noon - 1min);
    node.act(held, replication::Action::hold, "test");
    grpc::ClientContext call;
    v1::FlushResponse response;
    REQUIRE(client.stub->Flush(&call, {}, &response).ok());
    CHECK(response.flushed() == 1);
    CHECK(response.failed() == 0);
    CHECK(node.find(waiting)->due_at == noon);
    CHECK(node.find(held)->held);
}

TEST_CASE("Summarize: ages by domain, over several pages and with a filter") {
    Node node;
    Client client(node);
    node.clock.set(noon - 7min);
    for (int i = 0; i < 120; ++i) node.add("a@test", {"b@slow.test", "c@slow.test"});
    node.clock.set(noon);
    node.add("a@test", {"b@fast.test"});

    grpc::ClientContext call;
    v1::SummarizeRequest request;
    request.set_domains_max(1);
    v1::SummarizeResponse summary;
    REQUIRE(client.stub->Summarize(&call, request, &summary).ok());
    CHECK(summary.total().messages() == 121);
    CHECK(summary.total().recipients() == 241);
    REQUIRE(summary.domains_size() == 1);
    CHECK(summary.domains_left_out() == 1);
    const auto& slow = summary.domains(0);
    CHECK(slow.domain() == "slow.test");
    CHECK(slow.messages() == 120);
    REQUIRE(slow.messages_by_age_size() == summary.age_bounds_size() + 1);
    CHECK(slow.messages_by_age(1) == 120);

    grpc::ClientContext filtered;
    request.mutable_filter()->set_domain("fast.test");
    REQUIRE(client.stub->Summarize(&filtered, request, &summary).ok());
    CHECK(summary.total().messages() == 1);

    grpc::ClientContext malformed;
    request.set_domains_max(10'001);
    CHECK(client.stub->Summarize(&malformed, request, &summary).error_code() ==
          StatusCode::INVALID_ARGUMENT);
}

TEST_CASE("Reload passes on what could not be read") {
    Node node;
    Client client(node);
    node.on_home([&] { node.reload_problems = {"keys:3: no such file"}; });
    grpc::ClientContext call;
    v1::ReloadResponse response;
    REQUIRE(client.stub->Reload(&call, {}, &response).ok());
    REQUIRE(response.problems_size() == 1);
    CHECK(response.problems(0) == "keys:3: no such file");
}

}  // namespace
}  // namespace posthorse::admin
