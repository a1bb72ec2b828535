#include "daemon/admin/aside_calls.h"

#include <algorithm>
#include <set>

#include "proto/types/reply.h"
#include "proto/types/utf8.h"

namespace posthorse::admin {
namespace {

constexpr char token_separator = '/';

std::string safe(const std::string& text) {
    constexpr std::size_t text_bytes_max = 1024;
    return sanitise_utf8(text, text_bytes_max);
}

Error invalid(std::string what) {
    return {Errc::invalid, std::move(what)};
}

// "20260701T120501Z-182c.../01M80MGT5G000000G0000G0000".
std::string to_token(const aside::Place& place) {
    return place.directory + token_separator + place.after.to_string();
}

Result<aside::Place> parse_token(const std::string& token) {
    if (token.empty()) return aside::Place{};
    const auto end = token.find(token_separator);
    const auto after =
        end == std::string::npos ? std::nullopt : QueueId::parse(token.substr(end + 1));
    if (!after) return invalid("page_token is not one that an answer gave");
    return aside::Place{token.substr(0, end), *after};
}

// A name, and no path.
Result<std::string> parse_directory(const std::string& name) {
    if (name.find('/') == std::string::npos && name != "." && name != "..") return name;
    return invalid("directory '" + safe(name) +
                   "' must be a name, as `queue ls --set-aside` has it");
}

// Whose presence tells whether it may be adopted.
QueueId asked_about(const aside::Found& found) {
    return found.adopted_as.value_or(found.id);
}

// Another pool's ids say nothing here.
bool is_of_another_pool(const aside::Found& found, const replication::PoolState& pool) {
    return !found.pool_id.empty() && !pool.pool_id.empty() && found.pool_id != pool.pool_id &&
           !found.adopted_as;
}

void ask_about(const AdminContext& context,
               const std::vector<aside::Found>& found,
               Duration patience,
               UniqueFunction<void(Presences)> done) {
    std::set<QueueId> ids;
    for (const auto& one : found) {
        const bool asked = one.id != QueueId{} && !is_of_another_pool(one, context.queue.pool());
        if (asked) ids.insert(asked_about(one));
    }
    ask_presence(context.queue, {ids.begin(), ids.end()}, patience, std::move(done));
}

Presence presence_of(const aside::Found& found, const Presences& presences) {
    const auto known = presences.find(asked_about(found));
    return known == presences.end() ? Presence{v1::POOL_PRESENCE_GONE} : known->second;
}

void fill(v1::SetAsideMessage& out, const Envelope& envelope) {
    out.set_sender(safe(envelope.sender));
    for (const auto& recipient : envelope.recipients) {
        if (recipient.state == RecipientState::pending) out.add_pending(safe(recipient.address));
    }
    out.set_size_bytes(envelope.size_bytes);
    *out.mutable_accept_time() = to_timestamp(envelope.accepted_at);
    out.set_held(envelope.held);
}

v1::SetAsideMessage to_message(const aside::Found& found, const Presences& presences) {
    v1::SetAsideMessage out;
    out.set_directory(safe(found.directory));
    out.set_why(safe(found.why));
    out.set_problem(safe(found.problem));
    if (found.id == QueueId{}) return out;
    out.set_id(found.id.to_string());
    if (found.envelope) fill(out, *found.envelope);
    out.set_attempts_in_doubt((found.envelope ? found.envelope->in_doubt : 0) +
                              found.open_attempts);
    const auto presence = presence_of(found, presences);
    out.set_presence(presence.presence);
    out.set_presence_detail(safe(presence.detail));
    if (found.adopted_as) out.set_adopted_as(found.adopted_as->to_string());
    return out;
}

// Why it must not be adopted without force; nullopt: nothing speaks against it.
std::optional<std::string> objection(const aside::Found& found, const Presence& presence) {
    const std::string forced = "; `force` adopts it all the same";
    if (found.adopted_as)
        return "its adoption as " + found.adopted_as->to_string() +
               " was begun, and may have sent it already" + forced;
    switch (presence.presence) {
        case v1::POOL_PRESENCE_GONE:
            return std::nullopt;
        case v1::POOL_PRESENCE_QUEUED:
            return "it is in the pool's queue, and will be sent from there" + forced;
        case v1::POOL_PRESENCE_FINISHED:
            return "the pool has finished it: its recipients may have it already" + forced;
        default:
            return "whether the pool has it cannot be told (" + presence.detail + ")" + forced;
    }
}

const char* name_of(v1::SetAsideAction action) {
    return action == v1::SET_ASIDE_ACTION_ADOPT ? "adopt" : "remove_set_aside";
}

v1::SetAsideResult to_result(const aside::Named& message, const Result<void>& result) {
    const auto plain = to_act_result(message.id, result);
    v1::SetAsideResult out;
    out.set_directory(safe(message.directory));
    if (message.id != QueueId{}) out.set_id(plain.id());
    out.set_outcome(plain.outcome());
    out.set_detail(plain.detail());
    return out;
}

v1::SetAsideResult refusal(const aside::Found& found, const std::string& why) {
    return to_result({found.directory, found.id}, Error{Errc::conflict, why});
}

}  // namespace

Result<AsideWalk> parse_walk(const v1::ListSetAsideRequest& request) {
    auto directory = parse_directory(request.directory());
    if (!directory) return directory.error();
    const auto size = parse_count("page_size", request.page_size(), aside_page_max, aside_page_max);
    if (!size) return size.error();
    auto from = parse_token(request.page_token());
    if (!from) return from.error();
    return AsideWalk{std::move(*directory), std::move(*from), *size};
}

Result<AsideOrder> parse_aside_order(const v1::ActOnSetAsideRequest& request) {
    const auto action = request.action();
    if (action != v1::SET_ASIDE_ACTION_ADOPT && action != v1::SET_ASIDE_ACTION_REMOVE)
        return invalid("action: give ADOPT or REMOVE");
    auto directory = parse_directory(request.directory());
    if (!directory) return directory.error();
    AsideOrder order{.action = action,
                     .ids = {},
                     .directory = std::move(*directory),
                     .dry_run = request.dry_run(),
                     .force = request.force(),
                     .reason = sanitise(request.reason(), 256),
                     .operator_name = parse_operator(request.operator_name())};
    if (request.target_case() == v1::ActOnSetAsideRequest::kAll && request.all()) return order;
    if (request.target_case() != v1::ActOnSetAsideRequest::kIds)
        return invalid("target: give ids or all=true");
    auto ids = parse_ids(request.ids(), act_ids_max);
    if (!ids) return ids.error();
    order.ids = std::move(*ids);
    return order;
}

// --- ListSetAside

ListSetAsideCall::ListSetAsideCall(AdminContext& context,
                                   grpc::CallbackServerContext* rpc,
                                   AsideWalk walk,
                                   v1::ListSetAsideResponse* response)
    : HomeCall(context, rpc), walk_(std::move(walk)), response_(response) {
    go_on(&ListSetAsideCall::begin);
}

void ListSetAsideCall::begin() {
    context_.aside.list(walk_.directory, walk_.from, walk_.page_size,
                        [this](Result<aside::Page> page) {
                            if (!page) return Finish(to_status(page.error()));
                            take(*page);
                        });
}

void ListSetAsideCall::take(const aside::Page& page) {
    if (given_up()) return;
    found_ = page.found;
    if (page.next) response_->set_next_page_token(to_token(*page.next));
    ask_about(context_, found_, patience(patience_to_show),
              [this](const Presences& presences) { end(presences); });
}

void ListSetAsideCall::end(const Presences& presences) {
    for (const auto& one : found_) *response_->add_messages() = to_message(one, presences);
    Finish(grpc::Status::OK);
}

// --- ActOnSetAside

ActOnSetAsideCall::ActOnSetAsideCall(AdminContext& context,
                                     grpc::CallbackServerContext* rpc,
                                     AsideOrder order)
    : HomeCall(context, rpc), order_(std::move(order)) {
    go_on(&ActOnSetAsideCall::next_step);
}

void ActOnSetAsideCall::next_step() {
    if (last_step_) return end();
    if (given_up()) return;
    response_.Clear();
    tasks_.clear();
    adopted_before_.clear();
    if (!order_.ids.empty()) return find_next_ids();
    context_.aside.list(order_.directory, from_, aside_page_max, [this](Result<aside::Page> page) {
        if (!page) return Finish(to_status(page.error()));
        last_step_ = !page->next;
        if (page->next) from_ = *page->next;
        judge(std::move(page->found));
    });
}

void ActOnSetAsideCall::find_next_ids() {
    const auto begin = order_.ids.begin() + static_cast<std::ptrdiff_t>(ids_asked_);
    const auto count = std::min(aside_page_max, order_.ids.size() - ids_asked_);
    std::vector<QueueId> ids(begin, begin + static_cast<std::ptrdiff_t>(count));
    ids_asked_ += count;
    last_step_ = ids_asked_ == order_.ids.size();
    context_.aside.find(order_.directory, ids, [this, ids](Result<AsidePorts::Founds> found) {
        if (!found) return Finish(to_status(found.error()));
        for (const auto id : ids) {
            if (std::ranges::count(*found, id, &aside::Found::id) == 0)
                add(to_result(
                    {order_.directory, id},
                    Error{Errc::not_found, "no message " + id.to_string() + " is set aside here"}));
        }
        judge(std::move(*found));
    });
}

void ActOnSetAsideCall::judge(std::vector<aside::Found> found) {
    found_ = std::move(found);
    if (order_.action == v1::SET_ASIDE_ACTION_REMOVE) return judge_with({});
    ask_about(context_, found_, patience(patience_to_show),
              [this](const Presences& presences) { judge_with(presences); });
}

void ActOnSetAsideCall::judge_with(const Presences& presences) {
    for (auto& one : std::exchange(found_, {})) judge_one(std::move(one), presences);
    told_unopened_ = true;
    act();
}

void ActOnSetAsideCall::judge_one(aside::Found found, const Presences& presences) {
    if (found.id == QueueId{}) {
        if (!told_unopened_) add(refusal(found, found.problem));
        return;
    }
    const aside::Named message{found.directory, found.id};
    if (order_.action == v1::SET_ASIDE_ACTION_REMOVE)
        return tasks_.push_back({message, aside::Deed::remove});
    if (!found.envelope) return add(refusal(found, found.problem));
    const auto presence = presence_of(found, presences);
    if (found.adopted_as && presence.presence == v1::POOL_PRESENCE_QUEUED) {
        adopted_before_[message] = *found.adopted_as;
        return tasks_.push_back({message, aside::Deed::remove});
    }
    const auto why_not = order_.force ? std::nullopt : objection(found, presence);
    if (why_not) return add(refusal(found, *why_not));
    tasks_.push_back({message, aside::Deed::adopt});
}

void ActOnSetAsideCall::act() {
    if (tasks_.empty()) return answer();
    context_.aside.act({.tasks = std::move(tasks_),
                        .dry_run = order_.dry_run,
                        .directory_said = !order_.directory.empty(),
                        .given_up = [this] { return client_left(); }},
                       [this](Result<AsidePorts::Dones> done) {
                           if (!done) return Finish(to_status(done.error()));
                           acted(*done);
                       });
}

void ActOnSetAsideCall::acted(const std::vector<aside::Done>& done) {
    for (const auto& one : done) {
        auto result = to_result(one.message, one.result);
        if (one.result && order_.dry_run) result.set_outcome(v1::ActResult::OUTCOME_WOULD_ACT);
        if (one.new_id) result.set_adopted_as(one.new_id->to_string());
        const auto before = adopted_before_.find(one.message);
        if (before != adopted_before_.end() && one.result) {
            result.set_adopted_as(before->second.to_string());
            result.set_detail("it was adopted before");
        }
        add(std::move(result));
    }
    answer();
}

void ActOnSetAsideCall::add(v1::SetAsideResult result) {
    if (!order_.dry_run) {
        context_.aside.audit({{"action", name_of(order_.action)},
                              {"id", result.id()},
                              {"directory", result.directory()},
                              {"adopted_as", result.adopted_as()},
                              {"operator", order_.operator_name},
                              {"reason", order_.reason},
                              {"outcome", v1::ActResult::Outcome_Name(result.outcome())},
                              {"detail", result.detail()}});
    }
    *response_.add_results() = std::move(result);
}

void ActOnSetAsideCall::answer() {
    if (response_.results().empty()) return next_step();
    StartWrite(&response_);
}

void ActOnSetAsideCall::OnWriteDone(bool ok) {
    if (ok) return go_on(&ActOnSetAsideCall::next_step);
    last_step_ = true;  // the client left: what was done stays done
    go_on(&ActOnSetAsideCall::end);
}

void ActOnSetAsideCall::end() {
    if (order_.dry_run) return Finish(grpc::Status::OK);
    context_.aside.tidy([this](const Result<void>&) { Finish(grpc::Status::OK); });
}

}  // namespace posthorse::admin
