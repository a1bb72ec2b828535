// A ClientSession with a driver that obeys it: what scripted servers and fuzzers talk to in their
// own process.
//
// Contract  Checks on the way what the session promises: one result for each recipient before
//           JobDone, nothing after Close, the final dot only after MayEnd was answered.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "proto/smtp/client_session.h"

namespace posthorse::test {

class ClientPeer {
public:
    // Delivers `jobs` one after another, then quits.
    ClientPeer(smtp::ClientProfile profile, std::vector<smtp::Job> jobs);

    bool lease_is_good = true;
    bool tls_works = true;
    smtp::TlsPeer tls_peer = smtp::TlsPeer::unverified;

    void receive(std::string_view bytes);
    void end(smtp::ClientEnd reason);

    // What the client wrote since the last call; the body stands as "(body)".
    std::string take_output();
    bool closed() const { return closed_; }
    std::size_t jobs_done() const { return results_.size() - (in_job_ ? 1 : 0); }
    bool usable_after_last() const { return usable_; }
    bool dot_sent() const { return dot_sent_; }
    // results()[job][recipient]
    const std::vector<std::vector<smtp::RecipientResult>>& results() const { return results_; }
    const smtp::ClientSession& session() const { return session_; }

private:
    void carry_out(smtp::ClientEffects effects);
    void next_job();
    void on(smtp::ClientSend& send) { output_ += send.bytes; }
    void on(smtp::ClientStartTls&);
    void on(smtp::Ready&) { next_job(); }
    void on(smtp::SendBody&);
    void on(smtp::MayEnd&);
    void on(smtp::RecipientResult& result);
    void on(smtp::JobDone& done);
    void on(smtp::ClientClose&) { closed_ = true; }

    smtp::ClientSession session_;
    std::vector<smtp::Job> jobs_;
    std::vector<std::vector<smtp::RecipientResult>> results_;  // of the jobs that began
    bool in_job_ = false;
    bool usable_ = false;
    bool closed_ = false;
    bool dot_sent_ = false;  // of a message that somebody takes
    std::string input_;
    std::string output_;
};

}  // namespace posthorse::test
