// An operator's client for the tests of this folder.
#pragma once

#include <doctest/doctest.h>
#include <grpcpp/client_context.h>

#include "tests/unit/daemon/admin/admin_fixture.h"

namespace posthorse::admin::test {

struct Client {
    explicit Client(Node& node) : stub(node.connect()) {}

    grpc::Status list(const v1::ListMessagesRequest& request, v1::ListMessagesResponse& response) {
        grpc::ClientContext call;
        response.Clear();
        return stub->ListMessages(&call, request, &response);
    }
    // All pages.
    std::vector<v1::Message> list_all(v1::ListMessagesRequest request) {
        std::vector<v1::Message> messages;
        v1::ListMessagesResponse page;
        do {
            const auto status = list(request, page);
            REQUIRE_MESSAGE(status.ok(), status.error_message());
            messages.insert(messages.end(), page.messages().begin(), page.messages().end());
            missing.assign(page.missing().begin(), page.missing().end());
            request.set_page_token(page.next_page_token());
        } while (!page.next_page_token().empty());
        return messages;
    }
    grpc::Status get(const std::string& id, v1::Message& message) {
        grpc::ClientContext call;
        v1::GetMessageRequest request;
        request.set_id(id);
        v1::GetMessageResponse response;
        auto status = stub->GetMessage(&call, request, &response);
        message = response.message();
        return status;
    }
    grpc::Status read(const std::string& id, std::string& content) {
        grpc::ClientContext call;
        v1::ReadMessageRequest request;
        request.set_id(id);
        const auto stream = stub->ReadMessage(&call, request);
        for (v1::ReadMessageResponse piece; stream->Read(&piece);) content += piece.content();
        return stream->Finish();
    }
    grpc::Status act(const v1::ActRequest& request, std::vector<v1::ActResult>& results) {
        grpc::ClientContext call;
        const auto stream = stub->Act(&call, request);
        for (v1::ActResponse batch; stream->Read(&batch);) {
            results.insert(results.end(), batch.results().begin(), batch.results().end());
            missing.assign(batch.missing().begin(), batch.missing().end());
        }
        return stream->Finish();
    }
    // Requires that the call succeeds.
    std::vector<v1::ActResult> act(const v1::ActRequest& request) {
        std::vector<v1::ActResult> results;
        const auto status = act(request, results);
        REQUIRE_MESSAGE(status.ok(), status.error_message());
        return results;
    }

    std::unique_ptr<v1::Admin::Stub> stub;
    std::vector<v1::MissingPart> missing;  // of list_all() and act(): as said last
};

inline v1::ActRequest act_on(v1::Action action, std::vector<std::string> ids = {}) {
    v1::ActRequest request;
    request.set_action(action);
    for (auto& id : ids) request.mutable_ids()->add_ids(std::move(id));
    return request;
}

inline v1::ActRequest act_on_all(v1::Action action) {
    v1::ActRequest request;
    request.set_action(action);
    request.set_all(true);
    return request;
}

}  // namespace posthorse::admin::test
