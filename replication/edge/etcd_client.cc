#include "replication/edge/etcd_client.h"

#include <algorithm>

#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/security/credentials.h>

#include "etcd/rpc.grpc.pb.h"
#include "proto/types/assert.h"
#include "replication/edge/peer_channel.h"
#include "replication/edge/peer_credentials.h"
#include "replication/edge/peer_verdict.h"
#include "replication/edge/pool_state_codec.h"

namespace posthorse::replication {
namespace {

namespace api = ::etcdserverpb;

constexpr int answer_bytes_max = 8 * 1024 * 1024;
constexpr Duration pause_least = std::chrono::milliseconds{100};
constexpr Duration pause_most = std::chrono::seconds{1};
constexpr int questions_per_deadline = 4;

// A member that knows no leader refuses at once, and ends its watches, instead of waiting for one.
constexpr const char* require_leader = "hasleader";

void range(const EtcdPlace& place, api::RangeRequest& to) {
    to.set_key(place.begin());
    to.set_range_end(place.end());
}

api::TxnRequest request_of(const EtcdTransaction& transaction, const EtcdPlace& place) {
    api::TxnRequest request;
    for (const auto& one : transaction.when) {
        auto& compare = *request.add_compare();
        compare.set_result(api::Compare::EQUAL);
        compare.set_target(api::Compare::MOD);
        compare.set_key(place.encode_key(one.key));
        compare.set_mod_revision(one.changed.value);
    }
    for (const auto& one : transaction.puts) {
        auto& put = *request.add_success()->mutable_request_put();
        put.set_key(place.encode_key(one.key));
        put.set_value(encode_item(one.item));
    }
    for (const auto& key : transaction.deletes) {
        auto& deleted = *request.add_success()->mutable_request_delete_range();
        deleted.set_key(place.encode_key(key));
    }
    range(place, *request.add_failure()->mutable_request_range());
    return request;
}

void prepare(grpc::ClientContext& context) {
    context.AddMetadata(require_leader, "true");
}

// The revisions of one answer, each with what it changed. Later ones may have come with it.
std::vector<EtcdChanges> changes_of(const api::WatchResponse& response, const EtcdPlace& place) {
    std::vector<EtcdChanges> all;
    for (const auto& event : response.events()) {
        const Revision revision{event.kv().mod_revision()};
        if (all.empty() || all.back().revision != revision) all.push_back({.revision = revision});
        const auto key = place.decode_key(event.kv().key());
        if (!key) continue;
        if (event.type() == mvccpb::Event::DELETE) {
            all.back().deleted.push_back(*key);
        } else {
            all.back().put.push_back({*key, revision, decode_item(key->kind, event.kv().value())});
        }
    }
    return all;
}

}  // namespace

// ------------------------------------------------------------------ opening

struct EtcdClient::Connection {
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<api::KV::Stub> keys;
    std::unique_ptr<api::Watch::Stub> watch;
};

struct EtcdClient::Call {
    std::uint64_t turn = 0;  // whose endpoint carries it
    grpc::ClientContext context;
    api::TxnRequest request;
    api::TxnResponse response;
    // `why`: it failed; empty: there is a response.
    UniqueFunction<void(const Call&, const std::string& why)> done;
};

EtcdClient::EtcdClient(Settings settings, std::vector<Endpoint> endpoints, Executor& home)
    : settings_(std::move(settings)),
      place_(settings_.prefix),
      endpoints_(std::move(endpoints)),
      home_(home) {}

EtcdClient::~EtcdClient() {
    PH_ASSERT(calls_.empty() && streams_.empty());
}

Result<EtcdClient::Endpoint> EtcdClient::endpoint_of(const std::string& text, bool tls_by_default) {
    constexpr std::string_view plain = "http://";
    constexpr std::string_view secret = "https://";
    Endpoint endpoint{.name = text, .address = text, .tls = tls_by_default};
    if (text.starts_with(secret)) {
        endpoint.address = text.substr(secret.size());
        endpoint.tls = true;
    } else if (text.starts_with(plain)) {
        endpoint.address = text.substr(plain.size());
        endpoint.tls = false;
    }
    const auto& address = endpoint.address;
    const auto colon = address.rfind(':');
    const auto port = colon == std::string::npos ? "" : address.substr(colon + 1);
    const bool numbered = !port.empty() && port.size() <= 5 &&
                          port.find_first_not_of("0123456789") == std::string::npos;
    Faults faults;
    (void)address_from(address, "endpoint", faults);
    if (!numbered || colon == 0 || faults.any()) {
        return Error{Errc::invalid, "etcd endpoint \"" + text +
                                        "\": must be https://host:port or http://host:port"};
    }
    return endpoint;
}

Result<std::unique_ptr<EtcdClient>> EtcdClient::open(Settings settings, Executor& home) {
    prepare_grpc();
    if (settings.endpoints.empty())
        return Error{Errc::invalid, "etcd: there is no endpoint; name at least one"};
    std::vector<Endpoint> endpoints;
    for (const auto& text : settings.endpoints) {
        auto endpoint = endpoint_of(text, !settings.files.ca_file.empty());
        if (!endpoint) return endpoint.error();
        if (endpoint->tls && settings.files.ca_file.empty()) {
            return Error{Errc::invalid, "etcd endpoint " + text +
                                            ": needs a ca_file, with the authorities that etcd's "
                                            "certificates come from"};
        }
        endpoints.push_back(*std::move(endpoint));
    }
    auto client = std::unique_ptr<EtcdClient>(
        new EtcdClient(std::move(settings), std::move(endpoints), home));
    if (auto loaded = client->reload(); !loaded) return loaded.error();
    return client;
}

Result<void> EtcdClient::reload() {
    const auto& files = settings_.files;
    if (files.ca_file.empty()) return {};
    PeerIdentity read;
    const auto take = [](const std::string& path, std::string& to) -> Result<void> {
        if (path.empty()) return {};
        auto content = read_pem_file(path);
        if (!content) return content.error();
        to = *std::move(content);
        return {};
    };
    if (auto taken = take(files.ca_file, read.authorities); !taken) return taken;
    if (auto taken = take(files.certificate_file, read.certificate); !taken) return taken;
    if (auto taken = take(files.key_file, read.key); !taken) return taken;
    auto checked = check_client(read, files);
    if (!checked) return checked.error();
    identity_ = *std::move(checked);
    return {};
}

// ------------------------------------------------------------------ the endpoint in use

EtcdClient::Connection& EtcdClient::connection() {
    if (connection_) return *connection_;
    const auto& endpoint = endpoints_[current_];
    auto credentials =
        endpoint.tls
            ? grpc::SslCredentials({identity_.authorities, identity_.key, identity_.certificate})
            : grpc::InsecureChannelCredentials();
    connection_ = std::make_unique<Connection>();
    connection_->channel = make_etcd_channel(endpoint.address, credentials, answer_bytes_max);
    connection_->keys = api::KV::NewStub(connection_->channel);
    connection_->watch = api::Watch::NewStub(connection_->channel);
    return *connection_;
}

void EtcdClient::answers() {
    failures_ = 0;
    pause_ = {};
    figures_.problem.clear();
}

// All that this endpoint has ends; the next one is tried, at once while there is one that has not
// failed since the last answer.
void EtcdClient::give_up(const std::string& why) {
    if (stopping_) return;
    figures_.problem = why;
    ++failures_;
    ++turn_;
    connection_.reset();
    if (endpoints_.size() > 1) ++figures_.moves;
    current_ = (current_ + 1) % endpoints_.size();
    if (failures_ % endpoints_.size() == 0) {
        pause_ = std::clamp(2 * pause_, pause_least, pause_most);
        paused_until_ = now_ + pause_;
    }
    for (const auto& [number, call] : calls_) call->context.TryCancel();
    end_watch(why);
}

std::string EtcdClient::told(const std::string& problem) const {
    return "etcd at " + endpoints_[current_].name + ": " + problem;
}

std::string EtcdClient::describe(const grpc::Status& status) const {
    const auto problem = problem_of(status);
    switch (status.error_code()) {
        case grpc::StatusCode::DEADLINE_EXCEEDED:
            return told("gave no answer within " + std::to_string(settings_.deadline.count()) +
                        " ms; does it run, and do most of its members reach each other?");
        case grpc::StatusCode::UNAVAILABLE:
            return told(problem + "; does it run, is it reached from here, does it have a leader?");
        case grpc::StatusCode::PERMISSION_DENIED:
        case grpc::StatusCode::UNAUTHENTICATED:
            return told(problem + "; this node's certificate needs the right to read and write " +
                        place_.begin());
        case grpc::StatusCode::RESOURCE_EXHAUSTED:
            return told(problem + "; look at its alarms and its quota (etcdctl alarm list)");
        default:
            return told(problem);
    }
}

void EtcdClient::tick(BootTime now) {
    now_ = now;
    if (stopping_ || pausing()) return;
    for (auto waiting = std::exchange(waiting_, {}); !waiting.empty(); waiting.pop_front())
        launch(std::move(waiting.front()));
    if (!watching_) return;
    if (stream_ == 0) open_stream();
    ask_whether_it_lives();
}

// ------------------------------------------------------------------ calls

void EtcdClient::send(std::unique_ptr<Call> call) {
    if (stopping_) {
        home_.post([call = std::move(call)] { call->done(*call, "this node stops"); });
    } else if (pausing()) {
        waiting_.push_back(std::move(call));
    } else {
        launch(std::move(call));
    }
}

void EtcdClient::launch(std::unique_ptr<Call> call) {
    const auto number = ++last_number_;
    auto& started = *calls_.emplace(number, std::move(call)).first->second;
    started.turn = turn_;
    prepare(started.context);
    started.context.set_deadline(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                     gpr_time_from_millis(settings_.deadline.count(), GPR_TIMESPAN)));
    connection().keys->async()->Txn(
        &started.context, &started.request, &started.response, [this, number](grpc::Status status) {
            home_.post([this, number, status = std::move(status)] { ended(number, status); });
        });
}

void EtcdClient::ended(std::uint64_t number, const grpc::Status& status) {
    const auto call = std::move(calls_.extract(number).mapped());
    std::string why;
    if (status.ok()) {
        ++figures_.calls;
        if (call->turn == turn_) answers();
    } else {
        ++figures_.failed;
        if (stopping_) {
            why = "this node stops";
        } else if (call->turn != turn_) {  // it went with its endpoint
            why = figures_.problem.empty() ? "its endpoint was given up" : figures_.problem;
        } else {
            why = describe(status);
            give_up(why);
        }
    }
    call->done(*call, why);
    finish_stopping();
}

EtcdSnapshot EtcdClient::snapshot_of(const Call& call) const {
    EtcdSnapshot snapshot{.revision = {call.response.header().revision()}};
    if (call.response.responses_size() != 1) return snapshot;
    for (const auto& kv : call.response.responses(0).response_range().kvs()) {
        const auto key = place_.decode_key(kv.key());
        if (!key) continue;
        snapshot.entries.push_back({*key, {kv.mod_revision()}, decode_item(key->kind, kv.value())});
    }
    return snapshot;
}

EtcdAnswer EtcdClient::answer_of(const Call& call, const std::string& why) const {
    if (!why.empty()) return {.outcome = EtcdAnswer::Outcome::unknown, .why = why};
    EtcdAnswer answer{.outcome = EtcdAnswer::Outcome::done,
                      .revision = {call.response.header().revision()}};
    if (call.response.succeeded()) return answer;
    answer.outcome = EtcdAnswer::Outcome::refused;
    answer.snapshot = snapshot_of(call);
    return answer;
}

void EtcdClient::read(Completion<EtcdSnapshot> done) {
    auto call = std::make_unique<Call>();
    range(place_, *call->request.add_success()->mutable_request_range());
    call->done = [this, done = std::move(done)](const Call& ended, const std::string& why) mutable {
        if (!why.empty()) return done(Error{Errc::unavailable, why});
        done(snapshot_of(ended));
    };
    send(std::move(call));
}

void EtcdClient::transact(const EtcdTransaction& transaction,
                          UniqueFunction<void(EtcdAnswer)> done) {
    auto call = std::make_unique<Call>();
    call->request = request_of(transaction, place_);
    call->done = [this, done = std::move(done)](const Call& ended, const std::string& why) mutable {
        done(answer_of(ended, why));
    };
    send(std::move(call));
}

// A member answers from what it has; that it knows a leader it finds out by itself. Its connection
// is the watch's.
void EtcdClient::ask_whether_it_lives() {
    if (now_ < next_question_) return;
    next_question_ = now_ + settings_.deadline / questions_per_deadline;
    auto call = std::make_unique<Call>();
    auto& question = *call->request.add_success()->mutable_request_range();
    question.set_key(place_.encode_key({}));
    question.set_serializable(true);
    question.set_count_only(true);
    call->done = [](const Call&, const std::string&) {};
    launch(std::move(call));
}

// ------------------------------------------------------------------ the watch

// gRPC's threads post what came; the fields are home's.
class EtcdClient::Stream final
    : public grpc::ClientBidiReactor<api::WatchRequest, api::WatchResponse> {
public:
    Stream(EtcdClient& client, std::uint64_t name) : number(name), client_(client) {}

    const std::uint64_t number;
    bool over = false;  // nothing of it is heard any more
    api::WatchResponse response;

    void start(api::Watch::Stub& stub, const EtcdPlace& place, Revision from) {
        auto& create = *request_.mutable_create_request();
        create.set_key(place.begin());
        create.set_range_end(place.end());
        create.set_start_revision(from.value);
        prepare(context_);
        stub.async()->Watch(&context_, this);
        AddHold();  // until finish(): home reads on when it has taken what came
        StartCall();
        StartWrite(&request_);
        read_on();
    }
    void read_on() { StartRead(&response); }
    void cancel() {
        context_.TryCancel();
        finish();
    }
    void finish() {
        if (!std::exchange(over, true)) RemoveHold();
    }

private:
    void OnReadDone(bool well) override {
        client_.home_.post(
            [&client = client_, name = number, well] { client.streamed(name, well); });
    }
    void OnDone(const grpc::Status& status) override {
        client_.home_.post(
            [&client = client_, name = number, status] { client.stream_done(name, status); });
    }

    EtcdClient& client_;
    grpc::ClientContext context_;
    api::WatchRequest request_;
};

void EtcdClient::watch(Revision from, Watcher watcher) {
    if (stopping_) return;
    if (const auto before = streams_.find(stream_); before != streams_.end())
        before->second->cancel();
    stream_ = 0;
    watching_ = true;
    watch_from_ = from;
    watcher_ = std::make_shared<Watcher>(std::move(watcher));
    if (!pausing()) open_stream();
}

void EtcdClient::open_stream() {
    stream_ = ++last_number_;
    auto& stream =
        *streams_.emplace(stream_, std::make_unique<Stream>(*this, stream_)).first->second;
    stream.start(*connection().watch, place_, watch_from_);
}

void EtcdClient::end_watch(const std::string& why) {
    if (!std::exchange(watching_, false)) return;
    if (const auto stream = streams_.find(stream_); stream != streams_.end())
        stream->second->cancel();
    stream_ = 0;
    home_.post(
        [this, alive = std::weak_ptr<char>(alive_), why, watcher = std::move(watcher_)]() mutable {
            if (!alive.expired() && !stopping_) watcher->ended(why);
        });
    watcher_.reset();
}

void EtcdClient::streamed(std::uint64_t number, bool well) {
    const auto found = streams_.find(number);
    if (found == streams_.end() || found->second->over) return;
    auto& stream = *found->second;
    if (!well) return stream.finish();  // its status says why
    const auto& response = stream.response;
    if (response.canceled()) {
        if (response.compact_revision() != 0) {
            return end_watch(told("has forgotten revision " + std::to_string(watch_from_.value) +
                                  ", it was compacted"));
        }
        return give_up(told("ended the watch: " + response.cancel_reason()));
    }
    hand_on(stream);
}

void EtcdClient::hand_on(Stream& stream) {
    const auto watcher = watcher_;
    for (auto& changes : changes_of(stream.response, place_)) {
        if (stream.over) return;  // inside `changed`
        watcher->changed(std::move(changes));
    }
    if (!stream.over) stream.read_on();
}

void EtcdClient::stream_done(std::uint64_t number, const grpc::Status& status) {
    streams_.erase(number);
    if (number == stream_ && watching_ && !stopping_) {
        stream_ = 0;
        give_up(status.ok() ? told("ended the watch") : describe(status));
    }
    finish_stopping();
}

// ------------------------------------------------------------------ the end

EtcdFigures EtcdClient::figures() const {
    auto figures = figures_;
    figures.endpoint = endpoints_[current_].name;
    return figures;
}

void EtcdClient::stop(UniqueFunction<void()> done) {
    PH_ASSERT(!stopping_);
    stopping_ = true;
    watching_ = false;
    stopped_ = std::move(done);
    for (const auto& [number, call] : calls_) call->context.TryCancel();
    for (const auto& [number, stream] : streams_) stream->cancel();
    home_.post([this, alive = std::weak_ptr<char>(alive_), unsent = std::exchange(waiting_, {})] {
        for (const auto& call : unsent) call->done(*call, "this node stops");
        if (!alive.expired()) finish_stopping();
    });
}

void EtcdClient::finish_stopping() {
    if (stopping_ && stopped_ && calls_.empty() && streams_.empty()) std::exchange(stopped_, {})();
}

}  // namespace posthorse::replication
