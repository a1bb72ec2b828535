#include "replication/edge/peer_exchange.h"

#include <utility>

namespace posthorse::replication {

PeerExchange::PeerExchange(Executor& home,
                           PeerCertificates certificates,
                           std::function<Refusal(const Header&)> judge,
                           std::function<Header(NodeId)> header,
                           std::shared_ptr<grpc::ChannelCredentials> credentials)
    : ports_{.home = home,
             .certificates = certificates,
             .judge = std::move(judge),
             .header = std::move(header)},
      client_(ports_, std::move(credentials)),
      server_(ports_) {}

void PeerExchange::end() {
    ports_.receiver = nullptr;
    client_.end();
    server_.end();
}

void PeerExchange::join(UniqueFunction<void()> done) {
    joined_ = std::move(done);
    client_.watch_idle([this] { consider_joined(); });
    server_.watch_idle([this] { consider_joined(); });
    consider_joined();
}

// What calls this is on the stack still: `done` may destroy it.
void PeerExchange::consider_joined() {
    if (joined_ && client_.idle() && server_.idle()) ports_.home.post(std::exchange(joined_, {}));
}

}  // namespace posthorse::replication
