// The streams that peers keep to this node.
//
// Place     The receiving half of peer_exchange.h; PeerServer serves it.
// Contract  A stream's first message, its header, is judged before anything else is read, and every
//           further message by the same: when the pool learns better, the stream ends. Of one
//           node the newest stream of the newest incarnation stays, and ends the others.
//           The receiver hears of the end of those of which it heard a frame.
//           Nothing is read while home has more than exchange_unread_bytes of a stream, so that a
//           peer finds its own backlog growing.
// Owner     PeerExchange. gRPC's threads call Exchange() and the reactors; all else is on home.
// Bounds    exchange_streams_max; peer_streams_max of one connection.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "posthorse/v1/exchange.grpc.pb.h"
#include "replication/edge/exchange_ports.h"
#include "replication/edge/frame_reader.h"

namespace posthorse::replication {

class ExchangeServer final : public v1::Exchange::CallbackService {
public:
    explicit ExchangeServer(ExchangePorts& ports);
    // Requires idle().
    ~ExchangeServer() override;

    using Reactor = grpc::ServerBidiReactor<v1::ExchangeMessage, v1::ExchangeMessage>;
    Reactor* Exchange(grpc::CallbackServerContext* context) override;

    void answer(LinkId link, Frame frame);
    std::size_t backlog(LinkId link) const;
    void read_on(LinkId link, std::size_t bytes);
    std::size_t accepted() const;
    // Ends every stream; those that come later too, at once. The receiver is not called any more.
    void end();
    // No stream is left, and none can come when the server is down.
    bool idle() const { return streams_ == 0; }
    void watch_idle(UniqueFunction<void()> changed) { changed_ = std::move(changed); }

private:
    class Call;

    void began(Call* call);
    void read(LinkId link, Result<ExchangeRead> read);
    void take(Call& call, ExchangeRead read);
    void accept(Call& call, const ExchangeRead& read);
    bool replaces_all(const Header& header);
    void hand_on(Call& call, std::vector<Frame> frames);
    void read_next(Call& call);
    void written(LinkId link, bool well);
    void write_next(Call& call);
    void refuse(Call& call, Refusal refusal);
    void refuse_malformed(Call& call, const std::string& what);
    void end(Call& call, const grpc::Status& status);
    void end(LinkId link, const grpc::Status& status);
    void done(LinkId link);
    Call* find(LinkId link) const;  // null: it has ended

    ExchangePorts& ports_;
    std::atomic<std::size_t> streams_ = 0;  // those of calls_, and those on their way there
    std::atomic<std::uint64_t> last_link_ = 0;
    std::map<LinkId, std::unique_ptr<Call>> calls_;
    bool ended_ = false;
    UniqueFunction<void()> changed_;  // streams_ fell
};

}  // namespace posthorse::replication
