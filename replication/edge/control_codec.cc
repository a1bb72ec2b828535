#include "replication/edge/control_codec.h"

#include "posthorse/v1/pool.pb.h"
#include "replication/edge/pool_state_codec.h"

namespace posthorse::replication {
namespace {

// A text for people: what a peer cannot read must not cost it the message.
std::string readable(std::string_view text) {
    std::string readable(text.substr(0, codec::reason_bytes_max));
    for (char& c : readable) {
        if (c < 0x20 || c > 0x7E) c = '?';
    }
    return readable;
}

std::string reason_from(const std::string& text, std::string_view field, Faults& faults) {
    return readable(text_from(text, codec::reason_bytes_max, field, faults));
}

BootTime sent_from(std::int64_t milliseconds, std::string_view field, Faults& faults) {
    return BootTime{duration_from(milliseconds, Duration{0}, codec::clock_max, field, faults)};
}

std::string pool_id_from(const std::string& text, std::string_view field, Faults& faults) {
    return text_from(text, codec::pool_id_bytes_max, field, faults);
}

void put_known(const std::vector<std::string>& known,
               google::protobuf::RepeatedPtrField<std::string>& to) {
    for (const auto& address : known) {
        if (to.size() == codec::addresses_max) return;  // those left out greet by themselves
        *to.Add() = address;
    }
}

std::vector<std::string> known_from(const google::protobuf::RepeatedPtrField<std::string>& from,
                                    Faults& faults) {
    std::vector<std::string> known;
    faults.require(from.size() <= codec::addresses_max, "known",
                   "must have at most " + std::to_string(codec::addresses_max));
    if (faults.any()) return known;
    for (const auto& address : from) {
        faults.require(!address.empty(), "known", "must not be empty");
        known.push_back(address_from(address, "known", faults));
    }
    return known;
}

// ------------------------------------------------------------------ the agreement, elections

void put_message(const StartJoin& message, v1::DeliverRequest& to) {
    to.mutable_start_join()->set_term(message.term.value);
}

void put_message(const Join& message, v1::DeliverRequest& to) {
    auto& record = *to.mutable_join();
    record.set_term(message.term.value);
    put(Place{message.accepted_term, message.accepted_version}, *record.mutable_accepted());
}

Join join_from(const v1::Join& record) {
    const auto accepted = place_from(record.accepted());
    return {{record.term()}, accepted.term, accepted.version};
}

void put_message(const Published& message, v1::DeliverRequest& to) {
    put(message, *to.mutable_published());
}

Published sent_value_from(const v1::PublishedRecord& record, Faults& faults) {
    faults.require(record.has_value(), "published.value", "must be there");
    return published_from(record, faults);
}

void put_message(const Accepted& message, v1::DeliverRequest& to) {
    put(message.place, *to.mutable_accepted());
}

void put_message(const Commit& message, v1::DeliverRequest& to) {
    put(message.place, *to.mutable_commit());
}

void put_message(const PreVote& message, v1::DeliverRequest& to) {
    auto& record = *to.mutable_pre_vote();
    record.set_round(message.round);
    put(message.accepted, *record.mutable_accepted());
}

void put_message(const PreVoteReply& message, v1::DeliverRequest& to) {
    auto& record = *to.mutable_pre_vote_reply();
    record.set_round(message.round);
    record.set_granted(message.granted);
    record.set_term(message.term.value);
}

void put_message(const Heartbeat& message, v1::DeliverRequest& to) {
    auto& record = *to.mutable_heartbeat();
    record.set_term(message.term.value);
    record.set_round(message.round);
    put(message.committed, *record.mutable_committed());
    record.set_joined(message.joined);
    for (const auto& [node, left] : message.leases) {
        auto& lease = *record.add_leases();
        lease.set_node_id(node_octets(node));
        lease.set_left_ms(left.count());
    }
}

Heartbeat heartbeat_from(const v1::Heartbeat& record, Faults& faults) {
    Heartbeat heartbeat{.term = {record.term()},
                        .round = record.round(),
                        .committed = place_from(record.committed()),
                        .joined = record.joined()};
    faults.require(record.leases_size() <= codec::members_max, "heartbeat.leases",
                   "must have at most " + std::to_string(codec::members_max));
    for (int i = 0; i < record.leases_size() && !faults.any(); ++i) {
        const auto& lease = record.leases(i);
        heartbeat.leases.emplace_back(
            node_from(lease.node_id(), "heartbeat.leases.node_id", faults),
            duration_from(lease.left_ms(), -codec::clock_max, codec::lease_max,
                          "heartbeat.leases.left_ms", faults));
    }
    return heartbeat;
}

void put_message(const HeartbeatReply& message, v1::DeliverRequest& to) {
    auto& record = *to.mutable_heartbeat_reply();
    record.set_term(message.term.value);
    record.set_round(message.round);
    put(message.accepted, *record.mutable_accepted());
    record.set_configuration_committed(message.configuration_committed);
}

HeartbeatReply heartbeat_reply_from(const v1::HeartbeatReply& record) {
    return {{record.term()},
            record.round(),
            place_from(record.accepted()),
            record.configuration_committed()};
}

void put_message(const TakeLead& message, v1::DeliverRequest& to) {
    to.mutable_take_lead()->set_term(message.term.value);
}

// ------------------------------------------------------------------ leases and changes

void put_message(const Renew& message, v1::DeliverRequest& to) {
    auto& record = *to.mutable_renew();
    record.set_sent_ms(message.sent.time_since_epoch().count());
    record.set_acted_on(message.acted_on.value);
    put(message.facts, *record.mutable_facts());
}

Renew renew_from(const v1::Renew& record, Faults& faults) {
    return {sent_from(record.sent_ms(), "renew.sent_ms", faults),
            {record.acted_on()},
            facts_from(record.facts(), faults)};
}

void put_message(const Renewed& message, v1::DeliverRequest& to) {
    auto& record = *to.mutable_renewed();
    record.set_sent_ms(message.sent.time_since_epoch().count());
    put(message.incarnation, *record.mutable_incarnation());
    record.set_ttl_ms(message.ttl.count());
}

Renewed renewed_from(const v1::Renewed& record, Faults& faults) {
    return {
        sent_from(record.sent_ms(), "renewed.sent_ms", faults),
        incarnation_from(record.incarnation()),
        duration_from(record.ttl_ms(), Duration{0}, codec::lease_max, "renewed.ttl_ms", faults)};
}

void put_message(const Propose& message, v1::DeliverRequest& to) {
    auto& record = *to.mutable_propose();
    record.set_request(message.request);
    put(message.change, *record.mutable_change());
}

v1::Proposed::Code code_of(Errc code) {
    switch (code) {
        case Errc::unavailable:
            return v1::Proposed::CODE_UNAVAILABLE;
        case Errc::unknown:
            return v1::Proposed::CODE_UNKNOWN;
        case Errc::fenced:
            return v1::Proposed::CODE_FENCED;
        case Errc::full:
            return v1::Proposed::CODE_FULL;
        case Errc::not_found:
            return v1::Proposed::CODE_NOT_FOUND;
        case Errc::conflict:
            return v1::Proposed::CODE_CONFLICT;
        case Errc::invalid:
            return v1::Proposed::CODE_INVALID;
        case Errc::corrupt:
            return v1::Proposed::CODE_CORRUPT;
        case Errc::io:
            return v1::Proposed::CODE_IO;
        case Errc::cancelled:
            return v1::Proposed::CODE_CANCELLED;
    }
    return v1::Proposed::CODE_UNKNOWN;
}

// A code of a later release may mean anything: the change may have been made.
Errc code_from(v1::Proposed::Code code) {
    for (const auto known :
         {Errc::unavailable, Errc::fenced, Errc::full, Errc::not_found, Errc::conflict,
          Errc::invalid, Errc::corrupt, Errc::io, Errc::cancelled}) {
        if (code_of(known) == code) return known;
    }
    return Errc::unknown;
}

void put_message(const Proposed& message, v1::DeliverRequest& to) {
    auto& record = *to.mutable_proposed();
    record.set_request(message.request);
    if (!message.error) return;
    record.mutable_error()->set_code(code_of(message.error->code));
    record.mutable_error()->set_what(readable(message.error->what));
}

Proposed proposed_from(const v1::Proposed& record, Faults& faults) {
    Proposed proposed{record.request(), std::nullopt};
    if (record.has_error()) {
        proposed.error = Error{code_from(record.error().code()),
                               reason_from(record.error().what(), "proposed.error.what", faults)};
    }
    return proposed;
}

void put_message(const LeaveRequest&, v1::DeliverRequest& to) {
    to.mutable_leave_request();
}

void put_message(const LeaveDone& message, v1::DeliverRequest& to) {
    put(message.incarnation, *to.mutable_leave_done()->mutable_incarnation());
    for (const auto id : message.holds) to.mutable_leave_done()->add_holds(id.value);
}

LeaveDone leave_done_from(const v1::LeaveDone& from, Faults& faults) {
    LeaveDone done{incarnation_from(from.incarnation()), {}};
    faults.require(from.holds_size() <= codec::partitions_max, "leave_done.holds",
                   "must have at most " + std::to_string(codec::partitions_max));
    if (faults.any()) return done;
    for (const auto id : from.holds()) done.holds.push_back({id});
    return done;
}

// ------------------------------------------------------------------ before membership

void put_message(const Hello& message, v1::DeliverRequest& to) {
    to.mutable_hello()->set_asked_at(message.asked_at);
    put_known(message.known, *to.mutable_hello()->mutable_known());
}

v1::HelloReply::Standing standing_of(PoolStanding standing) {
    switch (standing) {
        case PoolStanding::looking:
            return v1::HelloReply::STANDING_LOOKING;
        case PoolStanding::promised:
            return v1::HelloReply::STANDING_PROMISED;
        case PoolStanding::member:
            return v1::HelloReply::STANDING_MEMBER;
    }
    return v1::HelloReply::STANDING_UNSPECIFIED;
}

PoolStanding standing_from(v1::HelloReply::Standing standing, Faults& faults) {
    for (const auto known : {PoolStanding::looking, PoolStanding::promised, PoolStanding::member}) {
        if (standing_of(known) == standing) return known;
    }
    faults.add("hello_reply.standing", "must be one that this release knows");
    return PoolStanding::looking;
}

void put_message(const HelloReply& message, v1::DeliverRequest& to) {
    auto& record = *to.mutable_hello_reply();
    record.set_standing(standing_of(message.standing));
    put_known(message.known, *record.mutable_known());
    if (message.leader) record.set_leader(node_octets(*message.leader));
    record.set_leader_address(message.leader_address);
    record.set_is_member(message.is_member);
    put(message.incarnation, *record.mutable_incarnation());
    put(message.acknowledged, *record.mutable_acknowledged());
    record.set_term(message.term.value);
    record.set_another_lives(message.another_lives);
    record.set_asked_at(message.asked_at);
}

HelloReply hello_reply_from(const v1::HelloReply& record, Faults& faults) {
    return {.standing = standing_from(record.standing(), faults),
            .asked_at = address_from(record.asked_at(), "hello_reply.asked_at", faults),
            .known = known_from(record.known(), faults),
            .leader = optional_node_from(record.leader(), "hello_reply.leader", faults),
            .leader_address =
                address_from(record.leader_address(), "hello_reply.leader_address", faults),
            .is_member = record.is_member(),
            .incarnation = incarnation_from(record.incarnation()),
            .acknowledged = place_from(record.acknowledged()),
            .term = {record.term()},
            .another_lives = record.another_lives()};
}

void put_message(const AskToJoin& message, v1::DeliverRequest& to) {
    put(message.facts, *to.mutable_ask_to_join()->mutable_facts());
}

void put_message(const Promise& message, v1::DeliverRequest& to) {
    to.mutable_promise()->set_attempt(message.attempt);
    if (message.genesis) put(*message.genesis, *to.mutable_promise()->mutable_genesis());
}

template <class Record>
Value genesis_from(const Record& record, Faults& faults) {
    if (!record.has_genesis()) return nullptr;
    auto genesis = pool_state_from(record.genesis(), faults);
    faults.require(!genesis.members.empty(), "genesis.members", "must not be empty");
    return std::make_shared<const PoolState>(std::move(genesis));
}

void put_message(const Promised& message, v1::DeliverRequest& to) {
    to.mutable_promised()->set_attempt(message.attempt);
    to.mutable_promised()->set_pool_id(message.pool_id);
}

void put_message(const Begun& message, v1::DeliverRequest& to) {
    to.mutable_begun()->set_pool_id(message.pool_id);
}

void put_message(const Estranged& message, v1::DeliverRequest& to) {
    to.mutable_estranged()->set_why(readable(message.why));
    put(message.incarnation, *to.mutable_estranged()->mutable_incarnation());
}

// ------------------------------------------------------------------ all of them

Message message_from(const v1::DeliverRequest& from, Faults& faults) {
    switch (from.message_case()) {
        case v1::DeliverRequest::kStartJoin:
            return StartJoin{{from.start_join().term()}};
        case v1::DeliverRequest::kJoin:
            return join_from(from.join());
        case v1::DeliverRequest::kPublished:
            return sent_value_from(from.published(), faults);
        case v1::DeliverRequest::kAccepted:
            return Accepted{place_from(from.accepted())};
        case v1::DeliverRequest::kCommit:
            return Commit{place_from(from.commit())};
        case v1::DeliverRequest::kPreVote:
            return PreVote{from.pre_vote().round(), place_from(from.pre_vote().accepted())};
        case v1::DeliverRequest::kPreVoteReply:
            return PreVoteReply{from.pre_vote_reply().round(),
                                from.pre_vote_reply().granted(),
                                {from.pre_vote_reply().term()}};
        case v1::DeliverRequest::kHeartbeat:
            return heartbeat_from(from.heartbeat(), faults);
        case v1::DeliverRequest::kHeartbeatReply:
            return heartbeat_reply_from(from.heartbeat_reply());
        case v1::DeliverRequest::kTakeLead:
            return TakeLead{{from.take_lead().term()}};
        case v1::DeliverRequest::kRenew:
            return renew_from(from.renew(), faults);
        case v1::DeliverRequest::kRenewed:
            return renewed_from(from.renewed(), faults);
        case v1::DeliverRequest::kPropose:
            return Propose{from.propose().request(), change_from(from.propose().change(), faults)};
        case v1::DeliverRequest::kProposed:
            return proposed_from(from.proposed(), faults);
        case v1::DeliverRequest::kLeaveRequest:
            return LeaveRequest{};
        case v1::DeliverRequest::kLeaveDone:
            return leave_done_from(from.leave_done(), faults);
        case v1::DeliverRequest::kHello:
            return Hello{address_from(from.hello().asked_at(), "hello.asked_at", faults),
                         known_from(from.hello().known(), faults)};
        case v1::DeliverRequest::kHelloReply:
            return hello_reply_from(from.hello_reply(), faults);
        case v1::DeliverRequest::kAskToJoin:
            return AskToJoin{facts_from(from.ask_to_join().facts(), faults)};
        case v1::DeliverRequest::kPromise:
            return Promise{from.promise().attempt(), genesis_from(from.promise(), faults)};
        case v1::DeliverRequest::kPromised:
            return Promised{from.promised().attempt(),
                            pool_id_from(from.promised().pool_id(), "promised.pool_id", faults)};
        case v1::DeliverRequest::kBegun:
            return Begun{pool_id_from(from.begun().pool_id(), "begun.pool_id", faults)};
        case v1::DeliverRequest::kEstranged:
            return Estranged{reason_from(from.estranged().why(), "estranged.why", faults),
                             incarnation_from(from.estranged().incarnation())};
        case v1::DeliverRequest::MESSAGE_NOT_SET:
            break;
    }
    faults.add("message", "must be one that this release knows");
    return Message{};
}

}  // namespace

void put(const Header& header, v1::PeerHeader& to) {
    to.set_pool_id(header.pool_id);
    to.set_pool_incarnation(header.pool_incarnation);
    to.set_from(node_octets(header.from));
    put(header.incarnation, *to.mutable_incarnation());
    to.set_name(header.name);
    to.set_address(header.address);
    if (header.to) to.set_to(node_octets(*header.to));
}

Header header_from(const v1::PeerHeader& record, Faults& faults) {
    faults.require(!record.address().empty(), "header.address", "must not be empty");
    return {.pool_id = pool_id_from(record.pool_id(), "header.pool_id", faults),
            .pool_incarnation = record.pool_incarnation(),
            .from = node_from(record.from(), "header.from", faults),
            .incarnation = incarnation_from(record.incarnation()),
            .name = text_from(record.name(), codec::text_bytes_max, "header.name", faults),
            .address = address_from(record.address(), "header.address", faults),
            .to = optional_node_from(record.to(), "header.to", faults)};
}

void encode(const Header& header, const Message& message, v1::DeliverRequest& to) {
    put(header, *to.mutable_header());
    std::visit([&](const auto& one) { put_message(one, to); }, message);
}

Result<Received> decode(const v1::DeliverRequest& request) {
    Faults faults;
    Received received{header_from(request.header(), faults), message_from(request, faults)};
    if (faults.any()) return Error{Errc::invalid, faults.first()};
    return received;
}

std::string encode_message(const Header& header, const Message& message) {
    v1::DeliverRequest request;
    encode(header, message, request);
    return request.SerializeAsString();
}

Result<Received> decode_message(const std::string& octets) {
    v1::DeliverRequest request;
    if (!request.ParseFromString(octets))
        return Error{Errc::invalid, "message: must be a DeliverRequest"};
    return decode(request);
}

}  // namespace posthorse::replication
