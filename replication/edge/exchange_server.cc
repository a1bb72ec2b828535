#include "replication/edge/exchange_server.h"

#include "proto/types/assert.h"
#include "replication/edge/frame_writer.h"
#include "replication/edge/peer_verdict.h"

namespace posthorse::replication {
namespace {

// Ends a call before it begins.
class RefusedCall final : public ExchangeServer::Reactor {
public:
    explicit RefusedCall(const grpc::Status& why) { Finish(why); }
    void OnDone() override { delete this; }
};

bool is_older(const Incarnation& one, const Incarnation& other) {
    return one != other && one.counter <= other.counter;
}

}  // namespace

// gRPC's threads read what came and post; the fields are home's.
class ExchangeServer::Call final : public Reactor {
public:
    Call(ExchangeServer& server, grpc::CallbackServerContext& context, LinkId name)
        : link(name), writer(server.ports_.counters), server_(server), context_(context) {}

    const LinkId link;
    Header header;
    FrameWriter writer;
    bool accepted = false;
    bool heard = false;  // the receiver knows of it
    bool reading = true;
    bool writes_soon = false;  // what home answers in one turn goes together
    bool ended = false;
    std::size_t unread_bytes = 0;  // that home has

    void start_read() { StartRead(&incoming_); }
    void start_write(const FrameWriter::Write& write) {
        StartWrite(write.message,
                   write.hint ? grpc::WriteOptions().set_buffer_hint() : grpc::WriteOptions());
    }
    // Behind a write that is under way; a peer that is dead is noticed.
    void finish(const grpc::Status& status) { Finish(status); }

private:
    void OnReadDone(bool well) override {
        auto read = well ? read_message(incoming_, context_.auth_context())
                         : Result<ExchangeRead>(Error{Errc::cancelled, "the stream ended"});
        server_.ports_.home.post(
            [&server = server_, name = link, read = std::move(read)]() mutable {
                server.read(name, std::move(read));
            });
    }
    void OnWriteDone(bool well) override {
        server_.ports_.home.post(
            [&server = server_, name = link, well] { server.written(name, well); });
    }
    void OnCancel() override {
        server_.ports_.home.post(
            [&server = server_, name = link] { server.end(name, grpc::Status::CANCELLED); });
    }
    void OnDone() override {
        server_.ports_.home.post([&server = server_, name = link] { server.done(name); });
    }

    ExchangeServer& server_;
    grpc::CallbackServerContext& context_;
    v1::ExchangeMessage incoming_;
};

ExchangeServer::ExchangeServer(ExchangePorts& ports) : ports_(ports) {}

ExchangeServer::~ExchangeServer() {
    PH_ASSERT(idle());
}

ExchangeServer::Reactor* ExchangeServer::Exchange(grpc::CallbackServerContext* context) {
    const auto peer = context->auth_context();
    if (!is_authenticated(peer.get())) {
        ports_.refused(refused_no_certificate);
        return new RefusedCall({grpc::StatusCode::UNAUTHENTICATED,
                                "no_certificate: show one of the pool's authority"});
    }
    if (++streams_ > exchange_streams_max) {
        --streams_;
        ports_.refused(refused_too_many);
        return new RefusedCall(
            {grpc::StatusCode::RESOURCE_EXHAUSTED, "too_many: streams are there already"});
    }
    auto* call = new Call(*this, *context, {++last_link_});
    ports_.home.post([this, call] { began(call); });
    call->start_read();
    return call;
}

void ExchangeServer::began(Call* call) {
    calls_.emplace(call->link, call);
    if (ended_) end(*call, {grpc::StatusCode::UNAVAILABLE, "the node stops"});
}

ExchangeServer::Call* ExchangeServer::find(LinkId link) const {
    const auto found = calls_.find(link);
    return found == calls_.end() || found->second->ended ? nullptr : found->second.get();
}

// ------------------------------------------------------------------ what comes

void ExchangeServer::read(LinkId link, Result<ExchangeRead> read) {
    auto* call = find(link);
    if (call == nullptr) return;
    call->reading = false;
    if (read) return take(*call, *std::move(read));
    if (read.error().code == Errc::cancelled) return end(*call, grpc::Status::CANCELLED);
    refuse_malformed(*call, read.error().what);
}

void ExchangeServer::take(Call& call, ExchangeRead read) {
    if (call.accepted == read.header.has_value())
        return refuse_malformed(call, "header: must come first, and once");
    ports_.counters.octets_received += read.bytes;
    if (read.header) {
        accept(call, read);
    } else if (const auto refusal = ports_.judged(call.header); refusal != Refusal::none) {
        refuse(call, refusal);
    } else {
        hand_on(call, std::move(read.frames));
    }
    read_next(call);
}

void ExchangeServer::accept(Call& call, const ExchangeRead& read) {
    if (ports_.certificates == PeerCertificates::node && !read.carries_name) {
        ports_.refused(refused_wrong_name);
        return end(call, {grpc::StatusCode::PERMISSION_DENIED,
                          "wrong_name: the certificate does not carry the name in the header"});
    }
    if (const auto refusal = ports_.judged(*read.header); refusal != Refusal::none)
        return refuse(call, refusal);
    if (!replaces_all(*read.header)) return refuse(call, Refusal::stale_incarnation);
    if (call.ended) return;  // the receiver heard of an end, and ended everything
    call.header = *read.header;
    call.accepted = true;
    call.start_write(call.writer.begin(ports_.header(call.header.from)));
}

// Ends the earlier streams of its node. False: one of them is of a later incarnation.
bool ExchangeServer::replaces_all(const Header& header) {
    std::vector<Call*> earlier;
    for (const auto& [link, call] : calls_) {
        if (call->ended || !call->accepted || call->header.from != header.from) continue;
        if (is_older(header.incarnation, call->header.incarnation)) return false;
        earlier.push_back(call.get());
    }
    for (auto* call : earlier)
        end(*call, {grpc::StatusCode::ABORTED, "the same node began a newer stream"});
    return true;
}

void ExchangeServer::hand_on(Call& call, std::vector<Frame> frames) {
    ports_.counters.frames_received += frames.size();
    for (const auto& frame : frames) call.unread_bytes += size_of(frame);
    const PeerStreams::Peer peer{call.header.from, call.header.incarnation};
    for (auto& frame : frames) {
        if (call.ended) return;  // inside came(), by the receiver
        call.heard = true;
        ports_.receiver->came(call.link, peer, std::move(frame));
    }
}

void ExchangeServer::read_next(Call& call) {
    if (call.ended || call.reading || call.unread_bytes >= exchange_unread_bytes) return;
    call.reading = true;
    call.start_read();
}

void ExchangeServer::read_on(LinkId link, std::size_t bytes) {
    auto* call = find(link);
    if (call == nullptr) return;
    PH_ASSERT(bytes <= call->unread_bytes);
    call->unread_bytes -= bytes;
    if (call->accepted) read_next(*call);
}

// ------------------------------------------------------------------ what goes

void ExchangeServer::answer(LinkId link, Frame frame) {
    auto* call = find(link);
    if (call == nullptr || !call->accepted) return;
    call->writer.push(std::move(frame));
    if (std::exchange(call->writes_soon, true)) return;
    ports_.home.post([this, link] {
        auto* still = find(link);
        if (still == nullptr) return;
        still->writes_soon = false;
        write_next(*still);
    });
}

std::size_t ExchangeServer::backlog(LinkId link) const {
    const auto* call = find(link);
    return call == nullptr ? 0 : call->writer.backlog();
}

void ExchangeServer::write_next(Call& call) {
    const auto write = call.writer.next();
    if (!write) {
        // Not inside a call of the port: the receiver hears of the end.
        ports_.home.post([this, link = call.link, what = write.error().what] {
            end(link, {grpc::StatusCode::INTERNAL, what});
        });
    } else if (*write) {
        call.start_write(**write);
    }
}

void ExchangeServer::written(LinkId link, bool well) {
    auto* call = find(link);
    if (call == nullptr || !well) return;  // the end of the stream follows
    const bool drained = call->writer.written();
    write_next(*call);
    if (drained) ports_.receiver->drained(link);
}

// ------------------------------------------------------------------ the end

void ExchangeServer::refuse(Call& call, Refusal refusal) {
    ports_.refused(refusal);
    end(call, status_of(refusal));
}

void ExchangeServer::refuse_malformed(Call& call, const std::string& what) {
    ports_.refused(refused_malformed);
    end(call, {grpc::StatusCode::INVALID_ARGUMENT, "malformed: " + what});
}

void ExchangeServer::end(LinkId link, const grpc::Status& status) {
    if (auto* call = find(link)) end(*call, status);
}

void ExchangeServer::end(Call& call, const grpc::Status& status) {
    if (std::exchange(call.ended, true)) return;
    call.finish(status);
    if (call.heard && ports_.receiver != nullptr) ports_.receiver->ended(call.link);
}

void ExchangeServer::done(LinkId link) {
    calls_.erase(link);
    --streams_;
    if (changed_) changed_();
}

std::size_t ExchangeServer::accepted() const {
    std::size_t count = 0;
    for (const auto& [link, call] : calls_) count += call->accepted && !call->ended ? 1 : 0;
    return count;
}

void ExchangeServer::end() {
    ended_ = true;
    for (const auto& [link, call] : calls_)
        end(*call, {grpc::StatusCode::UNAVAILABLE, "the node stops"});
}

}  // namespace posthorse::replication
