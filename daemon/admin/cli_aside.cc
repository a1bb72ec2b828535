#include "daemon/admin/cli_aside.h"

#include <algorithm>
#include <ostream>

#include "daemon/admin/cli_aside_text.h"
#include "daemon/admin/cli_json.h"

namespace posthorse::admin {
namespace {

constexpr std::int32_t aside_page = 100;

struct Totals {
    std::uint64_t done = 0;
    std::uint64_t failed = 0;
};

CliExit exit_of(const v1::SetAsideMessage& message) {
    if (message.id().empty()) return CliExit::refused;
    const bool unknown = message.presence() == v1::POOL_PRESENCE_UNKNOWN;
    return unknown ? CliExit::incomplete : CliExit::ok;
}

grpc::Status act(AdminCliContext& context,
                 AdminClient& client,
                 const CliOptions& options,
                 const v1::ActOnSetAsideRequest& request,
                 Totals& totals) {
    grpc::ClientContext call;
    const auto stream = client.stub().ActOnSetAside(&call, request);
    for (v1::ActOnSetAsideResponse batch; stream->Read(&batch);) {
        for (const auto& result : batch.results()) {
            const bool good = result.outcome() == v1::ActResult::OUTCOME_DONE ||
                              result.outcome() == v1::ActResult::OUTCOME_WOULD_ACT;
            ++(good ? totals.done : totals.failed);
            context.out << (options.json ? to_json(result) + '\n'
                                         : aside_result_text(request.action(), result));
        }
    }
    return stream->Finish();
}

// Several when there are more ids than a call takes.
std::vector<v1::ActOnSetAsideRequest> requests_for(const v1::ActOnSetAsideRequest& common,
                                                   const CliOptions& options,
                                                   const std::vector<std::string>& ids) {
    std::vector<v1::ActOnSetAsideRequest> requests;
    if (options.all) requests.emplace_back(common).set_all(true);
    for (std::size_t first = 0; first < ids.size(); first += ids_a_call) {
        auto& request = requests.emplace_back(common);
        const auto last = std::min(first + ids_a_call, ids.size());
        for (auto i = first; i < last; ++i) request.mutable_ids()->add_ids(ids[i]);
    }
    return requests;
}

CliExit run(AdminCliContext& context, const CliOptions& options, v1::SetAsideAction action) {
    if (has_filter(options)) {
        return complain(context, {CliExit::usage, "filters do not look into what was set aside"});
    }
    if (options.ids.empty() != options.all) {
        return complain(context, {CliExit::usage, "say which messages: ids, or --all"});
    }
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    v1::ActOnSetAsideRequest common;
    common.set_action(action);
    common.set_directory(options.from);
    common.set_dry_run(options.dry_run);
    common.set_force(options.force);
    common.set_reason(options.reason);
    common.set_operator_name(operator_name());
    Totals totals;
    for (const auto& request : requests_for(common, options, gather_ids(context, options))) {
        const auto status = act(context, *client, options, request, totals);
        if (!status.ok()) return complain(context, client->failure(status));
    }
    if (!options.json) {
        context.out << "-- " << totals.done << (options.dry_run ? " would be done, " : " done, ")
                    << totals.failed << " not\n";
    }
    return totals.failed == 0 ? CliExit::ok : CliExit::refused;
}

}  // namespace

CliExit run_aside_ls(AdminCliContext& context, const CliOptions& options) {
    if (has_filter(options)) {
        return complain(context, {CliExit::usage, "filters do not look into what was set aside"});
    }
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    AsideTable table(context.clock.wall());
    auto exit = CliExit::ok;
    v1::ListSetAsideRequest request;
    request.set_directory(options.from);
    auto left = options.limit;
    do {
        request.set_page_size(static_cast<std::int32_t>(std::min<std::uint64_t>(left, aside_page)));
        grpc::ClientContext call;
        AdminClient::limit(call);
        v1::ListSetAsideResponse page;
        const auto status = client->stub().ListSetAside(&call, request, &page);
        if (!status.ok()) return complain(context, client->failure(status));
        left -= static_cast<std::uint64_t>(page.messages_size());
        for (const auto& message : page.messages()) {
            exit = worse(exit, exit_of(message));
            context.out << (options.json ? to_json(message) + '\n' : table.row(message));
        }
        request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty() && left > 0);
    if (!options.json) context.out << table.footer();
    return exit;
}

CliExit run_aside_adopt(AdminCliContext& context, const CliOptions& options) {
    return run(context, options, v1::SET_ASIDE_ACTION_ADOPT);
}

CliExit run_aside_rm(AdminCliContext& context, const CliOptions& options) {
    return run(context, options, v1::SET_ASIDE_ACTION_REMOVE);
}

}  // namespace posthorse::admin
