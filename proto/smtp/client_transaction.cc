#include "proto/smtp/client_transaction.h"

#include <utility>

#include "proto/smtp/address.h"
#include "proto/types/assert.h"

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

}  // namespace

ClientTransaction::ClientTransaction(Job job, const ServerOffer& offer)
    : job_(std::move(job)), offer_(offer), standing_(job_.recipients.size(), Standing::open) {}

void ClientTransaction::begin(ClientEffects& out) {
    if (offer_.size_bytes_max != 0 && job_.size_bytes > offer_.size_bytes_max) {
        return fail_all({0,
                         {5, 3, 4},
                         "message of " + std::to_string(job_.size_bytes) +
                             " bytes: the server takes " + std::to_string(offer_.size_bytes_max)},
                        out);
    }
    if (!is_mailbox(job_.sender, PathKind::reverse)) {
        return fail_all({0, {5, 1, 7}, "the sender's address cannot be written in SMTP"}, out);
    }
    for (std::uint32_t i = 0; i < job_.recipients.size(); ++i) {
        if (is_mailbox(job_.recipients[i], PathKind::forward)) {
            named_.push_back(i);
        } else {
            const Reply why{0, {5, 1, 3}, "the address cannot be written in SMTP"};
            settle(i, {.kind = OutcomeKind::failed, .reply = why}, out);
        }
    }
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
            commands += "RCPT TO:<" + job_.recipients[named_[sent_count_ - 1]] + ">\r\n";
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
    // Without the offer 8-bit mail goes as it is: a rewrite would break its signatures.
    if (offer_.eight_bit_mime && job_.body == BodyKind::eight_bit) command += " BODY=8BITMIME";
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
    if (reply.code == 354) return anybody_accepted() ? Progress::body : Progress::empty_end;
    if (reply.positive()) return Progress::protocol_error;
    settle_open(reply, out);
    return Progress::next;
}

void ClientTransaction::settle_open(const Reply& reply, ClientEffects& out) {
    for (std::uint32_t i = 0; i < standing_.size(); ++i) {
        if (standing_[i] != Standing::settled)
            settle(i, {.kind = kind_of(reply), .reply = reply}, out);
    }
}

void ClientTransaction::defer_open(const Reply& why, bool lost_after_dot, ClientEffects& out) {
    for (std::uint32_t i = 0; i < standing_.size(); ++i) {
        if (standing_[i] == Standing::settled) continue;
        settle(i, {.kind = OutcomeKind::deferred, .reply = why, .lost_after_dot = lost_after_dot},
               out);
    }
}

void ClientTransaction::fail_all(const Reply& why, ClientEffects& out) {
    for (std::uint32_t i = 0; i < standing_.size(); ++i) {
        settle(i, {.kind = OutcomeKind::failed, .reply = why}, out);
    }
}

void ClientTransaction::settle(std::uint32_t recipient,
                               RecipientResult result,
                               ClientEffects& out) {
    PH_ASSERT(standing_[recipient] != Standing::settled);
    if (standing_[recipient] == Standing::accepted) --accepted_count_;
    standing_[recipient] = Standing::settled;
    result.recipient = recipient;
    result.reply = abridged(std::move(result.reply));
    out.emplace_back(std::move(result));
}

}  // namespace posthorse::smtp
