// One message's MAIL, RCPTs and DATA: what to send, and what each reply means for each recipient.
//
// Place     Inside ClientSession, from deliver() to JobDone.
// Contract  Each recipient gets exactly one RecipientResult. With PIPELINING the commands leave in
//           groups (RFC 2920), without it one by one; a group is bounded so that neither side
//           blocks on the other's unread bytes. A server that states how many recipients it takes
//           (LIMITS, RFC 9422) gets the message in as many rounds as that needs.
//           Extensions are used when the server offers them and the message needs them.
//           LMTP answers the message once for each recipient that it accepted, in order (RFC 2033
//           section 4.2).
// Errors    What the server cannot be told, and what it said that it cannot take, fails here,
//           before anything is sent: an address that is none; a message too large (5.3.4); 8-bit
//           octets without 8BITMIME (5.6.3: a rewrite would break its signatures); UTF-8 without
//           SMTPUTF8 (5.6.7); a message that requires TLS and would not be safe (5.7.30);
//           one that must be given back when it is late, and is late, or might be there (5.4.7), or
//           would not be given back by a server without DELIVERBY (5.3.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/smtp/client_effect.h"
#include "proto/smtp/server_offer.h"
#include "proto/types/destination.h"

namespace posthorse::smtp {

class ClientTransaction {
public:
    enum class Progress : std::uint8_t {
        waiting,    // for the reply to another command that was sent
        next,       // everything sent is answered: next_commands()
        body,       // 354, and somebody wants the message
        empty_end,  // 354, and nobody does: end the data at once (RFC 2920 section 3.1); SMTP only
        protocol_error,
    };

    ClientTransaction(Job job, const ServerOffer& offer, Protocol protocol);

    // Settles what needs no server, and begins the first round.
    void begin(ClientEffects& out);
    // Recipients are left that this round has not asked about.
    bool has_another_round() const noexcept { return !waiting_.empty(); }
    void begin_round();
    // What to send now; empty: nothing is left to ask, every recipient of the round is settled.
    std::string next_commands();
    // The reply to the oldest command without one.
    Progress on_reply(const Reply& reply, ClientEffects& out);
    // A reply to the message itself. True: it was the last one of the round.
    bool on_final(const Reply& reply, ClientEffects& out);
    // The reply to the message for all of the round that is still open.
    void settle_open(const Reply& reply, ClientEffects& out);
    // No reply came: `why` with code 0. `lost_after_dot` when the message may have been taken. Ends
    // what waits for another round, too.
    void defer_open(const Reply& why, bool lost_after_dot, ClientEffects& out);

    bool anybody_accepted() const noexcept { return accepted_count_ > 0; }
    // Only DATA is unanswered.
    bool data_awaited() const noexcept;

private:
    enum class Standing : std::uint8_t { open, accepted, settled };

    std::optional<Reply> refusal_of_message() const;
    std::optional<Reply> refusal_of_time() const;
    std::optional<Reply> refusal_of_recipient(const std::string& address) const;
    void settle(std::uint32_t recipient, RecipientResult result, ClientEffects& out);
    void settle_with(const Reply& reply,
                     const std::vector<std::uint32_t>& recipients,
                     ClientEffects& out);
    Progress on_mail(const Reply& reply, ClientEffects& out);
    Progress on_rcpt(std::uint32_t recipient, const Reply& reply, ClientEffects& out);
    Progress on_data(const Reply& reply, ClientEffects& out);
    Progress after_reply() const;
    bool may_send_data(bool rcpt_in_group) const;
    bool needs_utf8() const;
    bool drops_deadline() const;
    Notify notify_for(std::uint32_t recipient) const;
    const RecipientWishes& wishes_of(std::uint32_t recipient) const;
    std::string mail_command() const;
    std::string rcpt_command(std::uint32_t recipient) const;
    std::size_t data_index() const noexcept { return named_.size() + 1; }

    Job job_;
    ServerOffer offer_;
    const Protocol protocol_;
    std::vector<Standing> standing_;      // of each recipient of the job
    std::vector<std::uint32_t> waiting_;  // recipients for the rounds to come, in order

    // of the round
    std::vector<std::uint32_t> named_;  // recipients that are asked about, in order
    bool utf8_ = false;                 // MAIL says SMTPUTF8
    // Commands in order: 0 is MAIL, 1..n are RCPT for named_[i - 1], n + 1 is DATA.
    std::size_t sent_count_ = 0;
    std::size_t answered_count_ = 0;  // never above sent_count_
    std::size_t accepted_count_ = 0;
    bool mail_refused_ = false;
};

}  // namespace posthorse::smtp
