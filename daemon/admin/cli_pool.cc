#include "daemon/admin/cli_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <istream>
#include <ostream>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/admin/cli_json.h"
#include "daemon/admin/cli_pool_text.h"

namespace posthorse::admin {
namespace {

grpc::Status get_pool(AdminClient& client, v1::GetPoolResponse& pool) {
    grpc::ClientContext call;
    AdminClient::limit(call);
    return client.stub().GetPool(&call, {}, &pool);
}

// Of a call that acts.
CliExit fail(AdminCliContext& context, const AdminClient& client, const grpc::Status& status) {
    auto failure = client.failure(status);
    if (status.error_code() == grpc::StatusCode::UNKNOWN) {
        failure.what += "; it may have happened: look with `posthorse pool status`";
    }
    return complain(context, failure);
}

enum class Drain : std::uint8_t { begin, end };

CliExit set_draining(AdminCliContext& context, const CliOptions& options, Drain drain) {
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    v1::SetDrainingRequest request;
    request.set_member(options.nodes.front());
    request.set_draining(drain == Drain::begin);
    request.set_operator_name(operator_name());
    grpc::ClientContext call;
    v1::SetDrainingResponse response;
    const auto status = client->stub().SetDraining(&call, request, &response);
    if (!status.ok()) return fail(context, *client, status);
    context.out << options.nodes.front()
                << (drain == Drain::begin ? ": draining\n" : ": takes part again\n");
    return CliExit::ok;
}

// --- pool move

constexpr auto follow_patience = std::chrono::seconds{60};
constexpr auto follow_every = std::chrono::milliseconds{200};

// Whom the move waits for; empty: nobody.
std::string not_there(const v1::GetPoolResponse& pool, const std::string& to) {
    if (pool.control() != to) return pool.this_node().name();
    std::vector<std::string> names;
    for (const auto& member : pool.members()) {
        if (member.live() && !member.has_lease_left()) names.push_back(member.name());
    }
    return fmt::format("{}", fmt::join(names, ", "));
}

std::string followers_left(AdminCliContext& context, AdminClient& client, const std::string& to) {
    boost::asio::io_context nothing_else;
    const auto until = context.clock.boot() + follow_patience;
    for (;;) {
        v1::GetPoolResponse pool;
        const auto status = get_pool(client, pool);
        const auto left = status.ok() ? not_there(pool, to) : client.failure(status).what;
        if (left.empty() || context.clock.boot() > until) return left;
        boost::asio::steady_timer(nothing_else, follow_every).wait();  // until it is asked again
    }
}

// --- node remove

// What the operator vouches for, in one line; then the question.
CliExit confirm(AdminCliContext& context, const CliOptions& options, v1::Removal removal) {
    const auto names = fmt::format("{}", fmt::join(options.nodes, ", "));
    if (removal == v1::REMOVAL_BEGIN_WITHOUT) {
        context.err << "This node goes on alone. You vouch that these are switched off, or mail is "
                       "sent twice, and give up what only they hold: "
                    << names << '\n';
    } else {
        context.err << "You vouch that the mail that only these hold is lost or not wanted; older "
                       "copies go on, in doubt: "
                    << names << '\n';
    }
    if (options.yes) return CliExit::ok;
    context.err << "Go on? Type yes: ";
    std::string answer;
    std::getline(context.in, answer);
    if (answer == "y" || answer == "yes") return CliExit::ok;
    return complain(context, {CliExit::refused, "nothing was done"});
}

CliExit remove(AdminCliContext& context,
               AdminClient& client,
               const std::vector<std::string>& names,
               v1::Removal removal) {
    v1::RemoveMemberRequest request;
    request.mutable_members()->Assign(names.begin(), names.end());
    request.set_removal(removal);
    request.set_operator_name(operator_name());
    grpc::ClientContext call;
    v1::RemoveMemberResponse response;
    const auto status = client.stub().RemoveMember(&call, request, &response);
    if (!status.ok()) return fail(context, client, status);
    for (const auto& name : names) context.out << name << ": removed\n";
    return CliExit::ok;
}

}  // namespace

CliExit run_node_ls(AdminCliContext& context, const CliOptions& options) {
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    v1::GetPoolResponse pool;
    const auto status = get_pool(*client, pool);
    if (!status.ok()) return complain(context, client->failure(status));
    if (!options.json) {
        context.out << nodes_text(pool);
        return CliExit::ok;
    }
    for (const auto& member : pool.members()) context.out << to_json(member) << '\n';
    return CliExit::ok;
}

CliExit run_node_drain(AdminCliContext& context, const CliOptions& options) {
    return set_draining(context, options, Drain::begin);
}

CliExit run_node_resume(AdminCliContext& context, const CliOptions& options) {
    return set_draining(context, options, Drain::end);
}

// Whether the pool can decide says what --force means; the node is told which of the two was
// confirmed, and refuses when that is not so any more.
CliExit run_node_remove(AdminCliContext& context, const CliOptions& options) {
    if (options.force && !options.yes && !context.interactive) {
        return complain(
            context, {CliExit::usage, "--force asks first, and nobody can answer here: add --yes"});
    }
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    auto removal = v1::REMOVAL_SAFE;
    if (options.force) {
        v1::GetPoolResponse pool;
        const auto status = get_pool(*client, pool);
        if (!status.ok()) return complain(context, client->failure(status));
        removal = pool.can_decide() ? v1::REMOVAL_GIVE_UP : v1::REMOVAL_BEGIN_WITHOUT;
        const auto confirmed = confirm(context, options, removal);
        if (confirmed != CliExit::ok) return confirmed;
    }
    if (removal == v1::REMOVAL_BEGIN_WITHOUT) {
        return remove(context, *client, options.nodes, removal);
    }
    auto worst = CliExit::ok;
    for (const auto& name : options.nodes) {
        worst = std::max(worst, remove(context, *client, {name}, removal));
    }
    return worst;
}

CliExit run_pool_status(AdminCliContext& context, const CliOptions& options) {
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    v1::GetPoolResponse pool;
    const auto status = get_pool(*client, pool);
    if (!status.ok()) return complain(context, client->failure(status));
    if (options.json) {
        context.out << to_json(pool) << '\n';
        return CliExit::ok;
    }
    context.out << pool_text(pool);
    if (options.partitions) context.out << partitions_text(pool);
    return CliExit::ok;
}

// Waits until every live member has followed: on the other side each has a lease of its own.
CliExit run_pool_move(AdminCliContext& context, const CliOptions& options) {
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    v1::MovePoolRequest request;
    request.set_to(options.to == "etcd" ? v1::POOL_CONTROL_ETCD : v1::POOL_CONTROL_EMBEDDED);
    request.set_operator_name(operator_name());
    grpc::ClientContext call;
    v1::MovePoolResponse moved;
    const auto status = client->stub().MovePool(&call, request, &moved);
    if (!status.ok()) return fail(context, *client, status);
    const auto left = followers_left(context, *client, options.to);
    if (!left.empty()) {
        return complain(context, {CliExit::incomplete,
                                  fmt::format("the pool has agreed to go to {}; it waits for {}: "
                                              "look with `posthorse pool status`",
                                              options.to, left)});
    }
    context.out << "the pool is on " << options.to << " now; set pool.control = \"" << options.to
                << "\" in the configuration of every node, for those that come anew\n";
    return CliExit::ok;
}

}  // namespace posthorse::admin
