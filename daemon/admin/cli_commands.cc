#include "daemon/admin/cli_commands.h"

#include <algorithm>
#include <istream>
#include <ostream>
#include <set>

#include "daemon/admin/cli_json.h"
#include "daemon/admin/cli_text.h"
#include "daemon/config/units.h"

namespace posthorse::admin {
namespace {

constexpr std::int32_t list_page = 500;

void set_duration(google::protobuf::Duration& out, const std::string& text) {
    const auto value = config::parse_duration(text).value_or(Duration{});
    out.set_seconds(value / std::chrono::seconds{1});
    out.set_nanos(static_cast<std::int32_t>(
        std::chrono::nanoseconds{value % std::chrono::seconds{1}}.count()));
}

v1::MessageState to_state(const std::string& name) {
    for (int number = v1::MessageState_MIN; number <= v1::MessageState_MAX; ++number) {
        const auto* value = v1::MessageState_descriptor()->FindValueByNumber(number);
        if (value != nullptr && short_name(*value) == name) {
            return static_cast<v1::MessageState>(number);
        }
    }
    return v1::MESSAGE_STATE_UNSPECIFIED;
}

v1::MessageFilter to_filter(const CliFilter& filter) {
    v1::MessageFilter out;
    out.set_sender(filter.sender);
    out.set_recipient(filter.recipient);
    out.set_domain(filter.domain);
    out.set_state(to_state(filter.state));
    if (!filter.older_than.empty()) set_duration(*out.mutable_older_than(), filter.older_than);
    if (!filter.newer_than.empty()) set_duration(*out.mutable_newer_than(), filter.newer_than);
    out.set_id_prefix(filter.id_prefix);
    out.set_in_doubt(filter.in_doubt);
    out.set_message_id(filter.message_id);
    out.set_reply(filter.reply);
    out.set_text(filter.text);
    return out;
}

bool is_empty(const v1::MessageFilter& filter) {
    return filter.ByteSizeLong() == 0;
}

void print_page(AdminCliContext& context,
                const CliOptions& options,
                const v1::ListMessagesResponse& page,
                QueueTable& table) {
    for (const auto& message : page.messages()) {
        if (options.json) {
            context.out << to_json(message) << '\n';
            continue;
        }
        if (table.empty()) context.out << table.header();
        context.out << table.row(message);
    }
}

// What did not answer, each part said once.
class MissingParts {
public:
    MissingParts(AdminCliContext& context, const CliOptions& options)
        : context_(context), options_(options) {}

    void say(const google::protobuf::RepeatedPtrField<v1::MissingPart>& parts) {
        for (const auto& part : parts) {
            const auto line = options_.json ? "{\"missing\":" + to_json(part) + "}"
                                            : "posthorse: " + missing_text(part);
            if (said_.insert(line).second) context_.err << line << '\n';
        }
    }
    CliExit exit() const { return said_.empty() ? CliExit::ok : CliExit::incomplete; }

private:
    AdminCliContext& context_;
    const CliOptions& options_;
    std::set<std::string> said_;
};

// --- acting

struct ActTotals {
    std::uint64_t done = 0;
    std::uint64_t failed = 0;
};

void print_result(AdminCliContext& context,
                  const CliOptions& options,
                  v1::Action action,
                  const v1::ActResult& result,
                  ActTotals& totals) {
    const bool good = result.outcome() == v1::ActResult::OUTCOME_DONE ||
                      result.outcome() == v1::ActResult::OUTCOME_WOULD_ACT;
    ++(good ? totals.done : totals.failed);
    if (options.json) {
        context.out << to_json(result) << '\n';
    } else {
        context.out << act_result_text(action, result);
    }
}

grpc::Status act(AdminCliContext& context,
                 AdminClient& client,
                 const CliOptions& options,
                 const v1::ActRequest& request,
                 ActTotals& totals,
                 MissingParts& missing) {
    grpc::ClientContext call;
    const auto stream = client.stub().Act(&call, request);
    for (v1::ActResponse batch; stream->Read(&batch);) {
        for (const auto& result : batch.results()) {
            print_result(context, options, request.action(), result, totals);
        }
        missing.say(batch.missing());
    }
    return stream->Finish();
}

// One request for a filter or all; several when there are more ids than a call takes.
std::vector<v1::ActRequest> act_requests(const v1::ActRequest& common,
                                         const CliOptions& options,
                                         const v1::MessageFilter& filter,
                                         const std::vector<std::string>& ids) {
    std::vector<v1::ActRequest> requests;
    for (std::size_t first = 0; first < ids.size(); first += ids_a_call) {
        auto& request = requests.emplace_back(common);
        const auto last = std::min(first + ids_a_call, ids.size());
        for (auto i = first; i < last; ++i) request.mutable_ids()->add_ids(ids[i]);
    }
    if (!requests.empty() || !options.ids.empty()) return requests;
    auto& request = requests.emplace_back(common);
    if (options.all) {
        request.set_all(true);
    } else {
        *request.mutable_filter() = filter;
    }
    return requests;
}

CliExit end_of_act(AdminCliContext& context, const CliOptions& options, const ActTotals& totals) {
    if (!options.json) {
        context.out << "-- " << totals.done << (options.dry_run ? " would be done, " : " done, ")
                    << totals.failed << " not\n";
    }
    return totals.failed == 0 ? CliExit::ok : CliExit::refused;
}

}  // namespace

std::optional<AdminClient> connect(AdminCliContext& context, const CliOptions& options) {
    if (!options.socket.empty()) return AdminClient(options.socket);
    if (auto at = options.afar.or_environment(); !at.address.empty()) {
        auto client = AdminClient::afar(at);
        if (client) return std::move(*client);
        complain(context, {CliExit::usage, client.error().what});
        return std::nullopt;
    }
    auto path = context.socket_path();
    if (path) return AdminClient(*path);
    complain(context, {CliExit::usage, path.error().what});
    return std::nullopt;
}

CliExit complain(AdminCliContext& context, const CliFailure& failure) {
    context.err << "posthorse: " << failure.what << '\n';
    return failure.exit;
}

CliExit worse(CliExit one, CliExit other) {
    return std::max(one, other);
}

std::vector<std::string> gather_ids(AdminCliContext& context, const CliOptions& options) {
    std::vector<std::string> ids;
    for (const auto& given : options.ids) {
        if (given != "-") {
            ids.push_back(given);
            continue;
        }
        for (std::string id; context.in >> id;) ids.push_back(id);
    }
    return ids;
}

bool has_filter(const CliOptions& options) {
    return !is_empty(to_filter(options.filter));
}

CliExit run_ls(AdminCliContext& context, const CliOptions& options) {
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    QueueTable table(context.clock.wall());
    MissingParts missing(context, options);
    v1::ListMessagesRequest request;
    *request.mutable_filter() = to_filter(options.filter);
    auto left = options.limit;
    do {
        request.set_page_size(static_cast<std::int32_t>(std::min<std::uint64_t>(left, list_page)));
        grpc::ClientContext call;
        AdminClient::limit(call);
        v1::ListMessagesResponse page;
        const auto status = client->stub().ListMessages(&call, request, &page);
        if (!status.ok()) return complain(context, client->failure(status));
        left -= static_cast<std::uint64_t>(page.messages_size());
        print_page(context, options, page, table);
        missing.say(page.missing());
        request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty() && left > 0);
    if (!options.json) context.out << table.footer(!is_empty(request.filter()));
    return missing.exit();
}

CliExit run_show(AdminCliContext& context, const CliOptions& options) {
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    auto worst = CliExit::ok;
    for (const auto& id : options.ids) {
        v1::GetMessageRequest request;
        request.set_id(id);
        grpc::ClientContext call;
        AdminClient::limit(call);
        v1::GetMessageResponse response;
        const auto status = client->stub().GetMessage(&call, request, &response);
        if (!status.ok()) {
            worst = worse(worst, complain(context, client->failure(status)));
            continue;
        }
        const auto& message = response.message();
        context.out << (options.json ? to_json(message) : message_text(message)) << '\n';
    }
    return worst;
}

CliExit run_cat(AdminCliContext& context, const CliOptions& options) {
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    v1::ReadMessageRequest request;
    request.set_id(options.ids.front());
    grpc::ClientContext call;
    const auto stream = client->stub().ReadMessage(&call, request);
    for (v1::ReadMessageResponse piece; stream->Read(&piece);) context.out << piece.content();
    const auto status = stream->Finish();
    return status.ok() ? CliExit::ok : complain(context, client->failure(status));
}

CliExit run_act(AdminCliContext& context, const CliOptions& options, v1::Action action) {
    const auto filter = to_filter(options.filter);
    const int targets = !options.ids.empty() + !is_empty(filter) + options.all;
    if (targets != 1) {
        return complain(context, {CliExit::usage, "say which messages: ids, filters, or --all"});
    }
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    v1::ActRequest common;
    common.set_action(action);
    common.set_dry_run(options.dry_run);
    common.set_reason(options.reason);
    common.set_operator_name(operator_name());
    ActTotals totals;
    MissingParts missing(context, options);
    for (const auto& request :
         act_requests(common, options, filter, gather_ids(context, options))) {
        const auto status = act(context, *client, options, request, totals, missing);
        if (!status.ok()) return complain(context, client->failure(status));
    }
    return worse(end_of_act(context, options, totals), missing.exit());
}

CliExit run_flush(AdminCliContext& context, const CliOptions& options) {
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    v1::FlushRequest request;
    request.set_operator_name(operator_name());
    request.set_dry_run(options.dry_run);
    grpc::ClientContext call;
    v1::FlushResponse response;
    const auto status = client->stub().Flush(&call, request, &response);
    if (!status.ok()) return complain(context, client->failure(status));
    if (options.json) {
        context.out << to_json(response) << '\n';
    } else {
        context.out << "-- " << response.flushed()
                    << (options.dry_run ? " would be made due now, " : " made due now, ")
                    << response.failed() << " not\n";
    }
    MissingParts missing(context, options);
    missing.say(response.missing());
    return worse(response.failed() == 0 ? CliExit::ok : CliExit::refused, missing.exit());
}

CliExit run_summary(AdminCliContext& context, const CliOptions& options) {
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    v1::SummarizeRequest request;
    *request.mutable_filter() = to_filter(options.filter);
    request.set_domains_max(options.top);
    grpc::ClientContext call;
    AdminClient::limit(call);
    v1::SummarizeResponse response;
    const auto status = client->stub().Summarize(&call, request, &response);
    if (!status.ok()) return complain(context, client->failure(status));
    context.out << (options.json ? to_json(response) + '\n' : summary_text(response));
    MissingParts missing(context, options);
    missing.say(response.missing());
    return missing.exit();
}

CliExit run_status(AdminCliContext& context, const CliOptions& options) {
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    grpc::ClientContext call;
    AdminClient::limit(call);
    v1::GetStatusResponse response;
    const auto status = client->stub().GetStatus(&call, {}, &response);
    if (!status.ok()) return complain(context, client->failure(status));
    context.out << (options.json ? to_json(response) + '\n' : status_text(response));
    return CliExit::ok;
}

CliExit run_reload(AdminCliContext& context, const CliOptions& options) {
    auto client = connect(context, options);
    if (!client) return CliExit::usage;
    v1::ReloadRequest request;
    request.set_operator_name(operator_name());
    grpc::ClientContext call;
    v1::ReloadResponse response;
    const auto status = client->stub().Reload(&call, request, &response);
    if (!status.ok()) return complain(context, client->failure(status));
    for (const auto& problem : response.problems()) context.err << "posthorse: " << problem << '\n';
    return response.problems().empty() ? CliExit::ok : CliExit::refused;
}

}  // namespace posthorse::admin
