// One message is verified while it comes in: SPF, DKIM and DMARC.
//
// Place     Begun by verifier.h, driven by intake/acceptance.h.
// Contract  begin, header() once, body() as often as wanted, finish(). The octets must be those
//           that came in, before anything is taken out or put in front. The DNS is asked meanwhile;
//           finish() waits for what is still open, and judges signatures on a worker thread.
//           Nothing is kept of the body. A DNS that does not answer gives results of its own
//           (temperror): they are no reason to refuse.
// Owner     The connection's coroutine, on one shard. What is still under way when it is destroyed
//           ends without it.
// Errors    finish(): unavailable: too many messages wait for their turn, or it did not come.
// Bounds    dns_patience after the header; worker_patience at the end.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "daemon/dns/dns_resolver.h"
#include "daemon/runtime/shard.h"
#include "daemon/verify/findings.h"
#include "daemon/verify/verify_context.h"

namespace posthorse::verify {

namespace asio = boost::asio;

class Verification {
public:
    struct Place {
        VerifyContext& context;
        runtime::Shard& shard;  // of the caller
        dns::DnsResolver& dns;  // on that shard
    };
    Verification(Place place,
                 SessionFacts session,
                 sign::DkimCheck dkim,
                 std::shared_ptr<const PublicSuffixes> suffixes);
    ~Verification();
    Verification(const Verification&) = delete;
    Verification& operator=(const Verification&) = delete;

    void header(const mail::Header& header);
    void body(std::string_view piece);
    asio::awaitable<Result<Findings>> finish();

private:
    class Work;
    std::shared_ptr<Work> work_;
};

}  // namespace posthorse::verify
