#include "replication/edge/exchange_client.h"

#include <algorithm>

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/channel.h>

#include "proto/types/assert.h"
#include "replication/edge/frame_writer.h"
#include "replication/edge/peer_channel.h"
#include "replication/edge/peer_verdict.h"

namespace posthorse::replication {
namespace {

constexpr Duration wait_least = std::chrono::milliseconds{100};
constexpr Duration wait_most = std::chrono::seconds{1};

gpr_timespec from_now(Duration time) {
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis(time.count(), GPR_TIMESPAN));
}

}  // namespace

// A node to which a stream is kept.
struct ExchangeClient::Kept {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<v1::Exchange::Stub> stub;
    std::uint64_t call = 0;  // that is the stream; 0: none
    bool up = false;
    Duration wait = wait_least;  // before the next one
    std::unique_ptr<grpc::Alarm> alarm;
    std::uint64_t timer = 0;  // the number of `alarm`
    std::string problem;      // of the last stream that ended; empty: it is up
};

// gRPC's threads read what came and post; the fields are home's.
class ExchangeClient::Call final
    : public grpc::ClientBidiReactor<v1::ExchangeMessage, v1::ExchangeMessage> {
public:
    Call(ExchangeClient& client, std::uint64_t name, NodeId peer)
        : number(name), node(peer), writer(client.ports_.counters), client_(client) {}

    const std::uint64_t number;
    const NodeId node;
    Header header;  // of the peer
    FrameWriter writer;
    bool greeted = false;
    bool reading = true;
    bool writes_soon = false;  // what home sends in one turn goes together
    bool ended = false;
    std::string problem;  // why this end ended it

    void start(v1::Exchange::Stub& stub, const Header& own) {
        stub.async()->Exchange(&context_, this);
        AddHold();  // until finish(): home writes when it likes
        StartCall();
        start_write(writer.begin(own));
        start_read();
    }
    void start_read() { StartRead(&incoming_); }
    void start_write(const FrameWriter::Write& write) {
        StartWrite(write.message,
                   write.hint ? grpc::WriteOptions().set_buffer_hint() : grpc::WriteOptions());
    }
    void cancel() { context_.TryCancel(); }
    void finish() { RemoveHold(); }

private:
    void OnReadDone(bool well) override {
        auto read = well ? read_message(incoming_, context_.auth_context())
                         : Result<ExchangeRead>(Error{Errc::cancelled, "the stream ended"});
        client_.ports_.home.post(
            [&client = client_, name = number, read = std::move(read)]() mutable {
                client.read(name, std::move(read));
            });
    }
    void OnWriteDone(bool well) override {
        client_.ports_.home.post(
            [&client = client_, name = number, well] { client.written(name, well); });
    }
    void OnDone(const grpc::Status& status) override {
        client_.ports_.home.post(
            [&client = client_, name = number, status] { client.done(name, status); });
    }

    ExchangeClient& client_;
    grpc::ClientContext context_;
    v1::ExchangeMessage incoming_;
};

ExchangeClient::ExchangeClient(ExchangePorts& ports,
                               std::shared_ptr<grpc::ChannelCredentials> credentials)
    : ports_(ports), credentials_(std::move(credentials)) {}

ExchangeClient::~ExchangeClient() {
    PH_ASSERT(idle());
}

// ------------------------------------------------------------------ kept streams

void ExchangeClient::keep(NodeId node, const std::string& address) {
    if (ended_) return;
    auto& kept = kept_[node];
    if (kept && kept->address == address) return;
    if (kept) {
        drop(*kept);
        if (kept->up) {
            ports_.home.post([this, node] {
                if (ports_.receiver != nullptr && kept_.contains(node)) ports_.receiver->down(node);
            });
        }
    }
    kept = std::make_unique<Kept>();
    kept->address = address;
    kept->channel = make_peer_channel(address, credentials_, exchange_message_bytes_max);
    kept->stub = v1::Exchange::NewStub(kept->channel);
    connect(node, *kept);
}

void ExchangeClient::leave(NodeId node) {
    const auto kept = kept_.extract(node);
    if (!kept.empty()) drop(*kept.mapped());
}

// Its stream and its timer end, and nobody hears of it.
void ExchangeClient::drop(Kept& kept) {
    kept.alarm.reset();  // rings at once, for nothing
    if (auto* call = find(kept.call)) {
        call->ended = true;
        call->cancel();
        call->finish();
    }
}

void ExchangeClient::connect(NodeId node, Kept& kept) {
    // How long to wait is decided here.
    grpc::experimental::ChannelResetConnectionBackoff(kept.channel.get());
    kept.call = ++last_number_;
    auto& call =
        *calls_.emplace(kept.call, std::make_unique<Call>(*this, kept.call, node)).first->second;
    call.start(*kept.stub, ports_.header ? ports_.header(node) : Header{});
}

ExchangeClient::Call* ExchangeClient::find(std::uint64_t number) const {
    const auto found = calls_.find(number);
    return found == calls_.end() || found->second->ended ? nullptr : found->second.get();
}

ExchangeClient::Call* ExchangeClient::up(NodeId node) const {
    const auto kept = kept_.find(node);
    return kept == kept_.end() || !kept->second->up ? nullptr : find(kept->second->call);
}

// ------------------------------------------------------------------ what comes

void ExchangeClient::read(std::uint64_t number, Result<ExchangeRead> read) {
    auto* call = find(number);
    if (call == nullptr) return;
    call->reading = false;
    if (read) {
        take(*call, *std::move(read));
    } else if (read.error().code == Errc::cancelled) {
        end(*call, "");  // the status says why
    } else {
        end(*call, "malformed: " + read.error().what);
    }
}

void ExchangeClient::take(Call& call, ExchangeRead read) {
    if (call.greeted == read.header.has_value())
        return end(call, "malformed: header: must come first, and once");
    ports_.counters.octets_received += read.bytes;
    if (read.header) {
        greeted(call, read);
    } else if (const auto refusal = ports_.judged(call.header); refusal != Refusal::none) {
        end(call, to_string(refusal));
    } else {
        hand_on(call, std::move(read.frames));
    }
    if (call.ended) return;
    call.reading = true;
    call.start_read();
}

void ExchangeClient::greeted(Call& call, const ExchangeRead& read) {
    if (const auto why = refused_why(call, read); !why.empty()) return end(call, why);
    call.greeted = true;
    call.header = *read.header;
    auto& kept = *kept_.at(call.node);  // a call that has not ended is the stream of its node
    kept.up = true;
    kept.wait = wait_least;
    kept.problem.clear();
    ports_.receiver->up(call.node);
}

std::string ExchangeClient::refused_why(const Call& call, const ExchangeRead& read) const {
    if (ports_.certificates == PeerCertificates::node && !read.carries_name)
        return "wrong_name: the peer's certificate does not carry the name in its header";
    if (read.header->from != call.node) return "wrong_node: another node lives there";
    const auto refusal = ports_.judged(*read.header);
    return refusal == Refusal::none ? "" : to_string(refusal);
}

void ExchangeClient::hand_on(Call& call, std::vector<Frame> frames) {
    ports_.counters.frames_received += frames.size();
    for (auto& frame : frames) {
        if (call.ended) return;  // inside answered(), by the receiver
        ports_.receiver->answered(call.node, std::move(frame));
    }
}

// ------------------------------------------------------------------ what goes

void ExchangeClient::send(NodeId node, Frame frame) {
    auto* call = up(node);
    if (call == nullptr) return;
    call->writer.push(std::move(frame));
    if (std::exchange(call->writes_soon, true)) return;
    ports_.home.post([this, number = call->number] {
        auto* still = find(number);
        if (still == nullptr) return;
        still->writes_soon = false;
        write_next(*still);
    });
}

std::size_t ExchangeClient::backlog(NodeId node) const {
    const auto* call = up(node);
    return call == nullptr ? 0 : call->writer.backlog();
}

void ExchangeClient::write_next(Call& call) {
    const auto write = call.writer.next();
    if (!write) {
        // Not inside a call of the port: the receiver hears of the end.
        ports_.home.post([this, number = call.number, what = write.error().what] {
            if (auto* ended = find(number)) end(*ended, what);
        });
    } else if (*write) {
        call.start_write(**write);
    }
}

void ExchangeClient::written(std::uint64_t number, bool well) {
    auto* call = find(number);
    if (call == nullptr || !well) return;  // the end of the stream follows
    const bool drained = call->writer.written();
    write_next(*call);
    if (drained) ports_.receiver->drained(call->node);
}

// ------------------------------------------------------------------ the end

// `why`: what this end has against it; empty: it ended, and its status will say.
void ExchangeClient::end(Call& call, std::string why) {
    call.ended = true;
    if (!why.empty()) call.cancel();
    call.problem = std::move(why);
    call.finish();
    auto& kept = *kept_.at(call.node);
    if (std::exchange(kept.up, false) && ports_.receiver != nullptr)
        ports_.receiver->down(call.node);
}

void ExchangeClient::done(std::uint64_t number, const grpc::Status& status) {
    const auto call = std::move(calls_.extract(number).mapped());
    const auto kept = kept_.find(call->node);
    if (kept != kept_.end() && kept->second->call == number) {
        kept->second->call = 0;
        kept->second->problem = call->problem.empty() ? problem_of(status) : call->problem;
        begin_anew_later(call->node, *kept->second);
    }
    gone();
}

void ExchangeClient::begin_anew_later(NodeId node, Kept& kept) {
    if (ended_) return;
    kept.timer = ++last_number_;
    kept.alarm = std::make_unique<grpc::Alarm>();
    ++timers_;
    kept.alarm->Set(from_now(kept.wait), [this, node, number = kept.timer](bool expired) {
        ports_.home.post([this, node, number, expired] { timer_rang(node, number, expired); });
    });
    kept.wait = std::min(2 * kept.wait, wait_most);
}

void ExchangeClient::timer_rang(NodeId node, std::uint64_t number, bool expired) {
    --timers_;
    const auto kept = kept_.find(node);
    const bool due = expired && !ended_ && kept != kept_.end() && kept->second->timer == number;
    if (due) connect(node, *kept->second);
    gone();
}

void ExchangeClient::gone() {
    if (changed_) changed_();
}

std::size_t ExchangeClient::up() const {
    return static_cast<std::size_t>(std::count_if(
        kept_.begin(), kept_.end(), [](const auto& entry) { return entry.second->up; }));
}

std::vector<PeerProblem> ExchangeClient::problems() const {
    std::vector<PeerProblem> problems;
    for (const auto& [node, kept] : kept_) {
        if (!kept->problem.empty()) problems.push_back({kept->address, kept->problem});
    }
    return problems;
}

void ExchangeClient::end() {
    ended_ = true;
    for (const auto& [node, kept] : kept_) drop(*kept);
    kept_.clear();
}

}  // namespace posthorse::replication
