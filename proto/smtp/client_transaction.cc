#include "proto/smtp/client_transaction.h"

#include <algorithm>
#include <utility>

#include "proto/smtp/address.h"
#include "proto/smtp/command.h"
#include "proto/smtp/original_recipient.h"
#include "proto/smtp/parameters.h"
#include "proto/types/assert.h"
#include "proto/types/utf8.h"

namespace posthorse::smtp {

namespace {

// Their replies, at some 60 octets each, fit into the smallest socket buffers in use.
constexpr std::size_t group_commands_max = 100;

constexpr std::size_t result_text_bytes_max = 1024;

Reply abridged(Reply reply) {
    if (reply.text.size() > result_text_bytes_max) reply.text.resize(result_text_bytes_max);
    return reply;
}

// RFC 5321 section 4.5.3.1.10: some servers say 552 for "too many recipients"; more may be sent
// later. A full mailbox (RFC 3463, 5.2.2) is told apart by its enhanced code.
bool means_too_many(const Reply& reply) {
    return reply.code == 552 &&
           (reply.enhanced == EnhancedCode{} || reply.enhanced == EnhancedCode{5, 5, 3});
}

OutcomeKind kind_of(const Reply& reply) {
    if (reply.positive()) return OutcomeKind::delivered;
    return reply.permanent() ? OutcomeKind::failed : OutcomeKind::deferred;
}

bool is_2yz(const Reply& reply) {
    return reply.code >= 200 && reply.code < 300;
}

// How many different domains there would be with another recipient.
class DomainCount {
public:
    std::size_t with(std::string_view domain) {
        const bool known = std::ranges::any_of(
            seen_, [&](std::string_view one) { return equal_ignoring_case(one, domain); });
        if (!known) seen_.push_back(domain);
        return seen_.size();
    }

private:
    std::vector<std::string_view> seen_;
};

}  // namespace

ClientTransaction::ClientTransaction(Job job, const ServerOffer& offer, Protocol protocol)
    : job_(std::move(job)),
      offer_(offer),
      protocol_(protocol),
      standing_(job_.recipients.size(), Standing::open) {}

void ClientTransaction::begin(ClientEffects& out) {
    for (std::uint32_t i = 0; i < job_.recipients.size(); ++i) waiting_.push_back(i);
    if (const auto refusal = refusal_of_message()) {
        for (const auto i : std::exchange(waiting_, {})) {
            settle(i, {.kind = OutcomeKind::failed, .reply = *refusal}, out);
        }
    }
    for (const auto i : std::exchange(waiting_, {})) {
        if (const auto refusal = refusal_of_recipient(job_.recipients[i])) {
            settle(i, {.kind = OutcomeKind::failed, .reply = *refusal}, out);
        } else {
            waiting_.push_back(i);
        }
    }
    begin_round();
}

std::optional<Reply> ClientTransaction::refusal_of_message() const {
    if (offer_.size_bytes_max != 0 && job_.size_bytes > offer_.size_bytes_max) {
        return Reply{0,
                     {5, 3, 4},
                     "message of " + std::to_string(job_.size_bytes) + " bytes: the server takes " +
                         std::to_string(offer_.size_bytes_max)};
    }
    if (!is_mailbox(job_.sender, PathKind::reverse, Charset::utf8)) {
        return Reply{0, {5, 1, 7}, "the sender's address cannot be written in SMTP"};
    }
    if (job_.wishes.require_tls && !offer_.require_tls) {
        return Reply{0, {5, 7, 30}, "TLS is required, and this server does not vouch for it"};
    }
    if (auto refusal = refusal_of_time()) return refusal;
    const bool utf8 = !is_ascii(job_.sender) || (job_.wishes.utf8 && job_.utf8_header);
    if (utf8 && !offer_.smtp_utf8) {
        return Reply{0, {5, 6, 7}, "sender or header is not ASCII: the server lacks SMTPUTF8"};
    }
    if (job_.body == BodyKind::eight_bit && !offer_.eight_bit_mime) {
        return Reply{0, {5, 6, 3}, "the message holds 8-bit octets: the server lacks 8BITMIME"};
    }
    return std::nullopt;
}

// RFC 2852 section 4.1.4.1. Who speaks LMTP delivers, and relays nothing.
std::optional<Reply> ClientTransaction::refusal_of_time() const {
    const auto& by = job_.wishes.deliver_by;
    if (by.otherwise != DeliverBy::Otherwise::give_back) return std::nullopt;
    if (by.left.count() <= 0) return Reply{0, {5, 4, 7}, "the time for its delivery is over"};
    if (protocol_ == Protocol::lmtp) return std::nullopt;
    if (!offer_.deliver_by) {
        return Reply{0, {5, 3, 3}, "it must not be late, and the server lacks DELIVERBY"};
    }
    if (static_cast<std::uint64_t>(by.left.count()) < offer_.deliver_by_seconds_min) {
        return Reply{0,
                     {5, 4, 7},
                     "too little time is left: the server wants " +
                         std::to_string(offer_.deliver_by_seconds_min) + " seconds"};
    }
    return std::nullopt;
}

std::optional<Reply> ClientTransaction::refusal_of_recipient(const std::string& address) const {
    if (!is_mailbox(address, PathKind::forward, Charset::utf8)) {
        return Reply{0, {5, 1, 3}, "the address cannot be written in SMTP"};
    }
    if (!is_ascii(address) && !offer_.smtp_utf8) {
        return Reply{0, {5, 6, 7}, "the address is not ASCII: the server lacks SMTPUTF8"};
    }
    return std::nullopt;
}

void ClientTransaction::begin_round() {
    DomainCount domains;
    const auto most = offer_.recipients_max == 0 ? waiting_.size() : offer_.recipients_max;
    const auto fits = [&](std::uint32_t recipient) {
        if (named_.size() >= most) return false;
        const auto limit = offer_.recipient_domains_max;
        return limit == 0 || domains.with(domain_of(job_.recipients[recipient])) <= limit;
    };
    named_.clear();
    std::size_t count = 0;
    for (; count < waiting_.size() && fits(waiting_[count]); ++count) {
        named_.push_back(waiting_[count]);
    }
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    sent_count_ = answered_count_ = 0;
    mail_refused_ = false;
    utf8_ = needs_utf8();
}

// RFC 6531 section 3.4 wants the parameter for what needs it, and for nothing else.
bool ClientTransaction::needs_utf8() const {
    if (!offer_.smtp_utf8) return false;
    return !is_ascii(job_.sender) || (job_.wishes.utf8 && job_.utf8_header) ||
           std::ranges::any_of(named_, [&](auto i) { return !is_ascii(job_.recipients[i]); });
}

std::string ClientTransaction::next_commands() {
    PH_ASSERT(answered_count_ == sent_count_);
    std::string commands;
    if (named_.empty() || mail_refused_) return commands;
    const std::size_t most = offer_.pipelining ? group_commands_max : 1;
    bool rcpt_in_group = false;
    for (std::size_t count = 0; count < most && sent_count_ <= data_index();
         ++count, ++sent_count_) {
        if (sent_count_ == 0) {
            commands += mail_command();
        } else if (sent_count_ < data_index()) {
            commands += rcpt_command(named_[sent_count_ - 1]);
            rcpt_in_group = true;
        } else {
            if (!may_send_data(rcpt_in_group)) break;
            commands += "DATA\r\n";
        }
    }
    return commands;
}

// Worth asking when somebody was accepted, or may be by an answer that is still under way.
bool ClientTransaction::may_send_data(bool rcpt_in_group) const {
    return rcpt_in_group || accepted_count_ > 0;
}

std::string ClientTransaction::mail_command() const {
    std::string command = "MAIL FROM:<" + job_.sender + ">";
    if (offer_.size && job_.size_bytes > 0) command += " SIZE=" + std::to_string(job_.size_bytes);
    if (offer_.eight_bit_mime && job_.body == BodyKind::eight_bit) command += " BODY=8BITMIME";
    if (utf8_) command += " SMTPUTF8";
    if (job_.wishes.require_tls) command += " REQUIRETLS";
    if (const auto& by = job_.wishes.deliver_by; by.asked() && offer_.deliver_by)
        command += ' ' + deliver_by_parameter(by);
    if (offer_.priority && job_.wishes.priority != 0)
        command += " MT-PRIORITY=" + std::to_string(job_.wishes.priority);
    if (offer_.notices) {
        const auto ret = job_.wishes.ret;
        if (ret != ReturnContent::unsaid)
            command += ret == ReturnContent::full ? " RET=FULL" : " RET=HDRS";
        if (!job_.wishes.envelope_id.empty()) command += " ENVID=" + job_.wishes.envelope_id;
    }
    return command + "\r\n";
}

// It goes where nobody knows of its time, which is not over yet (RFC 2852 section 4.1.4.2).
bool ClientTransaction::drops_deadline() const {
    const auto& by = job_.wishes.deliver_by;
    return by.otherwise == DeliverBy::Otherwise::notify && by.left.count() > 0 &&
           !offer_.deliver_by && protocol_ == Protocol::smtp;
}

// Who does not know of the time shall tell of delays at least.
Notify ClientTransaction::notify_for(std::uint32_t recipient) const {
    auto notify = wishes_of(recipient).notify;
    if (!drops_deadline() || notify.wants_nothing()) return notify;
    if (!notify.said) notify.failure = true;
    notify.said = notify.delay = true;
    return notify;
}

const RecipientWishes& ClientTransaction::wishes_of(std::uint32_t recipient) const {
    static const RecipientWishes none;
    return job_.recipient_wishes.empty() ? none : job_.recipient_wishes.at(recipient);
}

std::string ClientTransaction::rcpt_command(std::uint32_t recipient) const {
    std::string command = "RCPT TO:<" + job_.recipients[recipient] + ">";
    const auto& wishes = wishes_of(recipient);
    const auto notify = notify_for(recipient);
    if (offer_.notices && notify.said) command += " " + notify_parameter(notify);
    if (offer_.notices && !wishes.original.empty()) {
        command += " ORCPT=" + (utf8_ ? wishes.original : as_ascii_parameter(wishes.original));
    }
    return command + "\r\n";
}

bool ClientTransaction::data_awaited() const noexcept {
    return answered_count_ == data_index() && sent_count_ > answered_count_;
}

ClientTransaction::Progress ClientTransaction::on_reply(const Reply& reply, ClientEffects& out) {
    PH_ASSERT(answered_count_ < sent_count_);
    const auto index = answered_count_++;
    if (index == 0) return on_mail(reply, out);
    if (index < data_index()) return on_rcpt(named_[index - 1], reply, out);
    return on_data(reply, out);
}

ClientTransaction::Progress ClientTransaction::after_reply() const {
    return answered_count_ == sent_count_ ? Progress::next : Progress::waiting;
}

ClientTransaction::Progress ClientTransaction::on_mail(const Reply& reply, ClientEffects& out) {
    if (is_2yz(reply)) return after_reply();
    if (reply.positive()) return Progress::protocol_error;
    mail_refused_ = true;
    settle_open(reply, out);
    settle_with(reply, std::exchange(waiting_, {}), out);  // they would hear the same
    return after_reply();
}

ClientTransaction::Progress ClientTransaction::on_rcpt(std::uint32_t recipient,
                                                       const Reply& reply,
                                                       ClientEffects& out) {
    if (mail_refused_) return after_reply();  // the server answers what was pipelined behind MAIL
    if (is_2yz(reply)) {
        standing_[recipient] = Standing::accepted;
        ++accepted_count_;
        return after_reply();
    }
    if (reply.positive()) return Progress::protocol_error;
    const auto kind = means_too_many(reply) ? OutcomeKind::deferred : kind_of(reply);
    settle(recipient, {.kind = kind, .reply = reply}, out);
    return after_reply();
}

ClientTransaction::Progress ClientTransaction::on_data(const Reply& reply, ClientEffects& out) {
    if (reply.code == 354 && anybody_accepted()) return Progress::body;
    // RFC 2033 section 4.2: nobody's message has no reply, and LMTP must not ask for it.
    if (reply.code == 354 && protocol_ == Protocol::smtp) return Progress::empty_end;
    if (reply.positive()) return Progress::protocol_error;
    settle_open(reply, out);
    return Progress::next;
}

bool ClientTransaction::on_final(const Reply& reply, ClientEffects& out) {
    if (protocol_ == Protocol::smtp) {
        settle_open(reply, out);
        return true;
    }
    const auto next = std::ranges::find_if(
        named_, [this](std::uint32_t i) { return standing_[i] == Standing::accepted; });
    PH_ASSERT(next != named_.end());
    settle(*next, {.kind = kind_of(reply), .reply = reply}, out);
    return !anybody_accepted();
}

void ClientTransaction::settle_open(const Reply& reply, ClientEffects& out) {
    settle_with(reply, named_, out);
}

void ClientTransaction::settle_with(const Reply& reply,
                                    const std::vector<std::uint32_t>& recipients,
                                    ClientEffects& out) {
    for (const auto i : recipients) {
        if (standing_[i] != Standing::settled)
            settle(i, {.kind = kind_of(reply), .reply = reply}, out);
    }
}

void ClientTransaction::defer_open(const Reply& why, bool lost_after_dot, ClientEffects& out) {
    for (const auto i : named_) {
        if (standing_[i] == Standing::settled) continue;
        settle(i, {.kind = OutcomeKind::deferred, .reply = why, .lost_after_dot = lost_after_dot},
               out);
    }
    for (const auto i : std::exchange(waiting_, {})) {
        settle(i, {.kind = OutcomeKind::deferred, .reply = why}, out);
    }
}

void ClientTransaction::settle(std::uint32_t recipient,
                               RecipientResult result,
                               ClientEffects& out) {
    PH_ASSERT(standing_[recipient] != Standing::settled);
    if (standing_[recipient] == Standing::accepted) --accepted_count_;
    standing_[recipient] = Standing::settled;
    result.recipient = recipient;
    const auto& notify = wishes_of(recipient).notify;
    const bool delivered = result.kind == OutcomeKind::delivered;
    result.notices_passed_on = notify.success && offer_.notices && delivered;
    result.final_delivery = delivered && protocol_ == Protocol::lmtp;
    const bool told = job_.wishes.deliver_by.trace || drops_deadline();
    result.tell_relay = told && delivered && protocol_ == Protocol::smtp && !notify.wants_nothing();
    result.reply = abridged(std::move(result.reply));
    out.emplace_back(std::move(result));
}

}  // namespace posthorse::smtp
