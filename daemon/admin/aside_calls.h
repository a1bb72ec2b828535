// The calls about data directories that were set aside: ListSetAside and ActOnSetAside.
//
// Place     Made by admin_service.cc for a request that it has checked. daemon/aside reads the
//           copies, presence.h asks what the pool knows of their messages.
// Contract  As calls in admin_calls.h. A step is a page: found in the copies, asked about in the
//           pool, judged, acted on, answered. Each message that was acted on, or refused, is one
//           line of the audit log. An adoption that got no further than its commit is brought to
//           its end: the message goes from the copy.
// Bounds    aside_page_max messages a step.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/admin/admin_calls.h"
#include "daemon/admin/presence.h"

namespace posthorse::admin {

inline constexpr std::size_t aside_page_max = 100;

struct AsideWalk {
    std::string directory;  // empty: all
    aside::Place from;
    std::size_t page_size = aside_page_max;
};
Result<AsideWalk> parse_walk(const v1::ListSetAsideRequest& request);

struct AsideOrder {
    v1::SetAsideAction action = v1::SET_ASIDE_ACTION_UNSPECIFIED;
    std::vector<QueueId> ids;  // empty: all
    std::string directory;     // empty: of all
    bool dry_run = false;
    bool force = false;
    std::string reason;
    std::string operator_name;
};
Result<AsideOrder> parse_aside_order(const v1::ActOnSetAsideRequest& request);

class ListSetAsideCall final : public HomeCall<grpc::ServerUnaryReactor> {
public:
    ListSetAsideCall(AdminContext& context,
                     grpc::CallbackServerContext* rpc,
                     AsideWalk walk,
                     v1::ListSetAsideResponse* response);

private:
    void begin();
    void take(const aside::Page& page);
    void end(const Presences& presences);

    AsideWalk walk_;
    v1::ListSetAsideResponse* response_;
    std::vector<aside::Found> found_;
};

class ActOnSetAsideCall final
    : public HomeCall<grpc::ServerWriteReactor<v1::ActOnSetAsideResponse>> {
public:
    ActOnSetAsideCall(AdminContext& context, grpc::CallbackServerContext* rpc, AsideOrder order);
    void OnWriteDone(bool ok) override;

private:
    void next_step();
    void find_next_ids();
    void judge(std::vector<aside::Found> found);
    void judge_with(const Presences& presences);
    void judge_one(aside::Found found, const Presences& presences);
    void act();
    void acted(const std::vector<aside::Done>& done);
    void add(v1::SetAsideResult result);
    void answer();
    void end();

    const AsideOrder order_;
    std::size_t ids_asked_ = 0;  // of the order's
    aside::Place from_;          // of the next page, without ids
    bool last_step_ = false;
    bool told_unopened_ = false;

    // --- of one step
    std::vector<aside::Found> found_;
    std::vector<aside::Task> tasks_;
    std::map<aside::Named, QueueId> adopted_before_;
    v1::ActOnSetAsideResponse response_;
};

}  // namespace posthorse::admin
