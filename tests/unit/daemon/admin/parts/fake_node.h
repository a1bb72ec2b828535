// A node's queue as a table, behind the ports of daemon/admin/parts, and a part that can fail.
//
// Contract  All at once: every call answers before it returns. Touch it on the test's home.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/admin/parts/own_part.h"
#include "storage/queue_ops.h"
#include "tests/unit/daemon/admin/envelopes.h"

namespace posthorse::admin::test {

class FakeQueue {
public:
    std::map<QueueId, Envelope> messages;
    std::map<QueueId, std::vector<std::string>> bodies;  // chunks, the head first
    std::set<PartitionId> taken_up;
    std::set<QueueId> delivering;
    std::vector<std::string> audited;
    std::size_t listed = 0;      // calls of list()
    std::size_t summarized = 0;  // calls of summarize()

    // A message that waits until an hour after noon.
    Envelope& add(PartitionId partition,
                  WallTime accepted,
                  std::uint32_t counter,
                  const std::string& sender = "a@test",
                  std::vector<std::string> recipients = {"b@test"}) {
        auto envelope = message(counter, noon - accepted, sender, std::move(recipients));
        envelope.id = QueueId::make(accepted, partition, Epoch{1}, counter);
        envelope.due_at = noon + std::chrono::hours{1};
        return messages[envelope.id] = envelope;
    }

    QueuePorts ports() {
        return {
            .list = [this](QueueId after, std::size_t limit,
                           auto done) { done(list(after, limit)); },
            .summarize = [this](replication::SummaryPlace from, storage::QueueSummary so_far,
                                std::size_t limit,
                                auto done) { done(summarize(from, std::move(so_far), limit)); },
            .find = [this](QueueId id, auto done) { done(find(id)); },
            .chunk = [this](QueueId id, std::uint32_t index, auto done) { done(chunk(id, index)); },
            .act = [this](QueueId id, replication::Action action, const std::string& why,
                          auto done) { done(act(id, action, why)); },
            .owns = [this](PartitionId id) { return taken_up.contains(id); },
            .delivering = [this](QueueId id) { return delivering.contains(id); },
            .bounce =
                [this](QueueId id, const std::string& why, auto done) {
                    const auto gone = act(id, replication::Action::remove, why);
                    done(gone ? Result<void>{} : Result<void>{gone.error()});
                },
            .audit =
                [this](runtime::log::Fields fields) {
                    audited.push_back(runtime::log::format("operator_action", fields));
                }};
    }

private:
    Result<std::vector<Envelope>> list(QueueId after, std::size_t limit) {
        ++listed;
        std::vector<Envelope> page;
        for (auto next = messages.upper_bound(after); next != messages.end(); ++next) {
            if (!taken_up.contains(next->first.partition())) continue;
            if (page.size() == limit) break;
            page.push_back(next->second);
        }
        return page;
    }
    // In the order of ids: it is that of due times in no test.
    replication::Summarized summarize(replication::SummaryPlace from,
                                      storage::QueueSummary so_far,
                                      std::size_t limit) {
        ++summarized;
        replication::Summarized out{.summary = std::move(so_far), .next = {}};
        for (auto next = messages.upper_bound(from.at.id); next != messages.end(); ++next) {
            if (!taken_up.contains(next->first.partition())) continue;
            if (limit-- == 0 || !out.summary.has_room()) return out;
            out.summary.add(next->second, noon);
            out.next = {.partition = next->first.partition(),
                        .at = {.due = next->second.due_at, .id = next->first}};
        }
        out.next.reset();
        return out;
    }
    Result<Envelope> find(QueueId id) const {
        const auto found = messages.find(id);
        if (found == messages.end()) return Error{Errc::not_found, "no message"};
        return found->second;
    }
    Result<Chunk> chunk(QueueId id, std::uint32_t index) const {
        const auto found = bodies.find(id);
        if (found == bodies.end() || index >= found->second.size()) {
            return Error{Errc::not_found, "no chunk"};
        }
        return make_chunk(found->second[index]);
    }
    Result<Envelope> act(QueueId id, replication::Action action, const std::string& why) {
        auto found = find(id);
        if (!found) return found;
        if (action == replication::Action::remove) {
            messages.erase(id);
        } else if (action == replication::Action::hold) {
            messages[id] = storage::hold(*found, why);
        } else {
            messages[id] = storage::retry(*found, noon);
        }
        return found;
    }
};

// Answers as another does, refuses, or keeps silent until it is told to answer.
class TestPart final : public QueuePart {
public:
    enum class Mood : std::uint8_t { answers, fails, silent };

    explicit TestPart(QueuePart& inner) : inner_(inner) {}

    void ask(v1::NodeListRequest request, Completion<v1::NodeListResponse> done) override {
        pass(std::move(request), std::move(done));
    }
    void ask(v1::NodeSummarizeRequest request,
             Completion<v1::NodeSummarizeResponse> done) override {
        pass(std::move(request), std::move(done));
    }
    void ask(v1::NodeGetRequest request, Completion<v1::NodeGetResponse> done) override {
        pass(std::move(request), std::move(done));
    }
    void ask(v1::NodeReadRequest request, Completion<v1::NodeReadResponse> done) override {
        pass(std::move(request), std::move(done));
    }
    void ask(v1::NodeActRequest request, Completion<v1::NodeActResponse> done) override {
        pass(std::move(request), std::move(done));
    }
    void ask(v1::NodeFlushRequest request, Completion<v1::NodeFlushResponse> done) override {
        pass(std::move(request), std::move(done));
    }
    // What came while it was silent.
    void answer() {
        for (auto& work : std::exchange(waiting_, {})) work();
    }

    Mood mood = Mood::answers;
    Error failure{Errc::unavailable, "no answer within 2 s"};
    std::size_t answers_left = SIZE_MAX;  // then it fails
    std::size_t asked = 0;

private:
    template <class Request, class Response>
    void pass(Request request, Completion<Response> done) {
        ++asked;
        if (mood == Mood::fails || answers_left == 0) return done(failure);
        --answers_left;
        if (mood == Mood::answers) return inner_.ask(std::move(request), std::move(done));
        waiting_.push_back([this, request = std::move(request), done = std::move(done)]() mutable {
            inner_.ask(std::move(request), std::move(done));
        });
    }

    QueuePart& inner_;
    std::vector<UniqueFunction<void()>> waiting_;
};

}  // namespace posthorse::admin::test
