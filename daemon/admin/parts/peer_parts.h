// The parts of the queue that other nodes own, over gRPC to their peer ports.
//
// Place     pool_queue.h asks it for a part; the wiring of the node lends it the channels.
// Contract  An answer comes within the part's patience. A node that does not answer, or refuses, is
//           an `unavailable` whose text names no node: the response says beside it which it was.
//           Of a step that changes something, whatever the transport cannot tell is `unknown`;
//           a refusal that the other node put into words did not happen. What the other node found
//           wrong with a message (not_found, corrupt) comes as it said it.
//           Nothing is tried again.
// Owner     The wiring of the node. Home executor; the destructor requires that stop() has
//           completed, or that nothing was asked. Parts may outlive it only unused.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "daemon/admin/parts/node_queue_service.h"
#include "daemon/admin/parts/queue_part.h"
#include "proto/types/time.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace posthorse::admin {

class PeerParts {
public:
    // Null: there is none to be had.
    using Channels = std::function<std::shared_ptr<grpc::Channel>(const std::string& address)>;

    PeerParts(Executor& home,
              Channels channels,
              CertificatesName certificates,
              runtime::Metrics& metrics);
    ~PeerParts();
    PeerParts(const PeerParts&) = delete;
    PeerParts& operator=(const PeerParts&) = delete;

    std::shared_ptr<QueuePart> part(const replication::Member& member, Duration patience);
    // Cancels what is under way and asks nothing any more. `done` runs on home.
    void stop(UniqueFunction<void()> done);

private:
    class Part;
    struct CallBase;
    template <class Request, class Response>
    struct Call;

    template <class Request, class Response>
    void start(const Part& part, Request request, Completion<Response> done);
    template <class Request, class Response>
    void ended(std::uint64_t number, const grpc::Status& status);

    Executor& home_;
    const Channels channels_;
    const CertificatesName certificates_;
    runtime::Counter answered_;
    runtime::Counter failed_;
    std::map<std::uint64_t, std::unique_ptr<CallBase>> calls_;
    std::uint64_t last_call_ = 0;
    bool stopping_ = false;
    UniqueFunction<void()> stopped_;
};

}  // namespace posthorse::admin
