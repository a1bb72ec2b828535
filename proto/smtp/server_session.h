// The server's half of one SMTP conversation, with no socket in it.
//
// Place     First stage of the pipeline: driven by daemon/intake/connection.h, uses only proto/.
//           docs/life-of-a-message.md, step 1. Here are the states and what each command does; what
//           EHLO offers is server_profile.h, which command may come when server_order.h, MAIL and
//           RCPT server_transaction.h, a message's octets server_body.h, AUTH's auth_exchange.h.
// Contract  Bytes in, effects out, in order; same bytes, same effects. No clock, no DNS, no log,
//           no memory beyond `limits`. Questions (Check..., MessageEnd) stop the conversation:
//           feed() takes nothing until the answer came, so a "250" cannot leave before the queue
//           holds the message on `copies` nodes (RFC 5321 section 6.1). Bytes read before a TLS
//           handshake are dropped, never replayed inside it (cf. RFC 3207 section 4.2).
// Owner     One connection, one session, one shard. Not thread-safe.
// Errors    Whatever a client sends ends in a Send or a Close. Misuse by the caller is a bug and
//           aborts (PH_ASSERT).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/smtp/command.h"
#include "proto/smtp/line_splitter.h"
#include "proto/smtp/server_body.h"
#include "proto/smtp/server_effect.h"
#include "proto/smtp/server_order.h"
#include "proto/smtp/server_patience.h"
#include "proto/smtp/server_profile.h"
#include "proto/smtp/server_transaction.h"
#include "proto/types/assert.h"
#include "proto/types/reply.h"

namespace posthorse::smtp {

enum class EndReason : std::uint8_t {
    peer_closed,  // EOF or reset
    idle,         // the driver's deadline passed: 421 4.4.2
    shutdown,     // the node stops: 421 4.3.2
    overloaded,   // 421 4.3.2 / 4.7.0
    out_of_turn,  // client_must_wait(), and it did not: 554 5.5.0
};

class ServerSession {
public:
    enum class State : std::uint8_t {
        greeting,  // start() was not called yet
        command,   // between commands, in or out of a transaction
        question,  // waits for verdict(), auth_challenge() or auth_verdict()
        auth,      // in an AUTH exchange: waits for the client's next line
        tls,       // StartTls was issued
        body,      // between DATA and the end of data, BDAT and the end of its chunk
        closed,
    };

    explicit ServerSession(ServerProfile profile);

    // Sends the greeting. Before it nothing may be fed.
    void start(Effects& out);
    // Takes a prefix of `input` and appends effects to `out`. Returns bytes taken; 0 means more is
    // needed or, in question, tls and closed, stop reading: that is the back-pressure. Keep what
    // was not taken; carry out the effects, then feed it again at once: feed() also stops behind
    // BodyBegin and MessageEnd, so that transaction() and facts() are still the message's.
    std::size_t feed(std::string_view input, Effects& out);

    // The answer to the last command decides what may come next (RFC 2920 section 3.1: HELO, EHLO
    // and DATA end a group): what was read together with it was sent blindly. feed() stops there;
    // the driver, who alone knows what came in one read, may end the session for it.
    bool client_must_wait() const noexcept { return must_wait_; }

    // Answers CheckMail, CheckRcpt and MessageEnd. For the checks a positive reply lets the command
    // take effect; any other only answers it. A reply of code 421 also closes. Ignored once closed,
    // so that an answer may come after the peer left.
    void verdict(const Reply& reply, Effects& out);
    // Answer AuthBegin and AuthResponse. `login` empty: refused with `reply`.
    void auth_challenge(std::string_view octets, Effects& out);
    void auth_verdict(std::string login, const Reply& reply, Effects& out);
    // The handshake that StartTls asked for is done: all state is forgotten (RFC 3207 section 4.2).
    void tls_established(Effects& out);
    // What AUTH offers from here on: some mechanisms need what a handshake agreed on.
    void offer(std::vector<std::string> mechanisms);
    // The caller's timer fired, the peer left or the node stops. Ends in State::closed. While a
    // message's verdict is awaited, all but `peer_closed` is refused by returning false: answer
    // first, or the client would send the message again.
    bool end(EndReason reason, Effects& out);

    State state() const noexcept { return state_; }
    bool in_transaction() const noexcept { return transaction_.has_value(); }
    // Requires in_transaction().
    const Transaction& transaction() const {
        PH_ASSERT(transaction_.has_value());
        return *transaction_;
    }
    const SessionFacts& facts() const noexcept { return facts_; }
    const ServerProfile& profile() const noexcept { return profile_; }

private:
    enum class Question : std::uint8_t { none, auth, mail, rcpt, message };

    // Input, by state.
    std::size_t take(std::string_view input, Effects& out);
    std::size_t take_line(std::string_view input, Effects& out);
    std::size_t take_body(std::string_view input, Effects& out);
    std::size_t line_bytes_max(std::string_view input) const;
    void on_line_fault(LineFault fault, bool auth_line, Effects& out);
    void on_command(std::string_view line, Effects& out);
    bool worn_out(Verb verb, Effects& out);
    void dispatch(const Command& command, Effects& out);

    // Who the client is.
    void helo(std::string_view argument, Effects& out);
    void ehlo(std::string_view argument, Effects& out);
    bool greet(std::string_view argument, Effects& out);
    void starttls(std::string_view argument, Effects& out);
    void auth(std::string_view argument, Effects& out);
    void on_auth_line(std::string_view line, Effects& out);
    void abort_auth(Effects& out);

    // A message.
    void mail(std::string_view argument, Effects& out);
    void rcpt(std::string_view argument, Effects& out);
    void data(std::string_view argument, Effects& out);
    void bdat(std::string_view argument, Effects& out);
    void rset(Effects& out);
    void begin_body(Effects& out);
    void end_body(ServerBody::End end, Effects& out);
    void drop_transaction(Effects& out);

    Standing standing() const;

    // Output.
    void respond(const Reply& reply, Effects& out);
    void ask(Question question, Effect effect, Effects& out);
    void answer(const Reply& reply, Effects& out);
    void hang_up(const Reply& reply, Effects& out);
    void close(Effects& out);

    ServerProfile profile_;
    SessionFacts facts_;
    State state_ = State::greeting;
    LineSplitter lines_;
    Patience patience_;
    std::optional<Transaction> transaction_;
    ServerBody body_;
    // Meaningful while state_ is question.
    Question question_ = Question::none;
    Transaction offered_;                  // by MAIL
    AcceptedRecipient offered_recipient_;  // by RCPT
    bool pausing_ = false;    // the driver must look at transaction() before the next command
    bool must_wait_ = false;  // see client_must_wait()
};

}  // namespace posthorse::smtp
