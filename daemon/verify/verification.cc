#include "daemon/verify/verification.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace posthorse::verify {
namespace {

sign::DkimKeyAnswer key_answer(const DnsAnswer& answer) {
    using End = sign::DkimKeyAnswer::End;
    if (answer.end == dns::LookupEnd::failed) return {End::failed, {}};
    if (answer.end != dns::LookupEnd::found) return {End::absent, {}};
    return {End::found, answer.records};
}

}  // namespace

// Shared with the questions and the job that are under way: they may end after the verification.
class Verification::Work : public std::enable_shared_from_this<Work> {
public:
    Work(Place place,
         SessionFacts session,
         sign::DkimCheck dkim,
         std::shared_ptr<const PublicSuffixes> suffixes)
        : context_(place.context),
          shard_(place.shard),
          dns_(place.dns),
          session_(std::move(session)),
          spf_facts_(spf_facts(session_)),
          dkim_(std::move(dkim)),
          suffixes_(std::move(suffixes)) {}

    // Asks what can be asked now.
    void advance() {
        advance_spf();
        advance_dmarc();
        for (const auto& name : dkim_.wanted_keys()) ask({RecordKind::txt, name});
        if (open_.empty()) wake();
    }

    void header(const mail::Header& header) {
        dkim_.header(header);
        author_ = author_of(header);
        if (!author_.domain.empty()) organization_ = suffixes_->organization_of(author_.domain);
        dns_until_ = context_.clock.boot() + context_.dns_patience;
        advance();
    }

    void body(std::string_view piece) { dkim_.body(piece); }

    asio::awaitable<Result<Findings>> finish() {
        const auto began = context_.clock.boot();
        if (!open_.empty()) co_await wait(dns_until_ - context_.clock.boot());
        give_up_on_dns();
        if (auto judged = co_await judge_signatures(); !judged) co_return judged.error();
        auto findings = conclude();
        context_.metrics.seconds.observe(
            std::chrono::duration<double>(context_.clock.boot() - began).count());
        co_return findings;
    }

private:
    void advance_spf() {
        if (spf_ || !spf_facts_) return;
        auto step = check_spf(*spf_facts_, answers_);
        if (auto* question = std::get_if<DnsQuestion>(&step)) {
            ask(std::move(*question));
        } else {
            spf_ = std::get<SpfVerdict>(std::move(step));
        }
    }

    void advance_dmarc() {
        if (published_ || author_.domain.empty()) return;
        auto step = find_dmarc_record(author_.domain, organization_, answers_);
        if (auto* question = std::get_if<DnsQuestion>(&step)) {
            ask(std::move(*question));
        } else {
            published_ = std::get<DmarcPublished>(std::move(step));
        }
    }

    void ask(DnsQuestion question) {
        if (answers_.contains(question) || !open_.insert(question).second) return;
        if (dns_is_over_) return;
        auto done = [self = weak_from_this(), question](DnsAnswer answer) {
            if (const auto work = self.lock()) work->answered(question, std::move(answer));
        };
        switch (question.kind) {
            case RecordKind::txt:
                return dns_.txt(question.name, std::move(done));
            case RecordKind::a:
                return dns_.addresses_of(question.name, dns::AddressFamily::v4, std::move(done));
            case RecordKind::aaaa:
                return dns_.addresses_of(question.name, dns::AddressFamily::v6, std::move(done));
            case RecordKind::ptr:
                return dns_.ptr(question.name, std::move(done));
            case RecordKind::mx:
                return dns_.mx(question.name, [done = std::move(done)](dns::MxAnswer mx) mutable {
                    DnsAnswer hosts{mx.end, {}, mx.ttl_seconds, std::move(mx.error)};
                    for (auto& record : mx.records) hosts.records.push_back(std::move(record.host));
                    done(std::move(hosts));
                });
        }
    }

    // Perhaps before ask() returns.
    void answered(const DnsQuestion& question, DnsAnswer answer) {
        if (dns_is_over_ || open_.erase(question) == 0) return;
        answers_.emplace(question, std::move(answer));
        advance();
    }

    // What is open, and what would be asked because of that, counts as failed.
    void give_up_on_dns() {
        dns_is_over_ = true;
        while (!open_.empty()) {
            for (auto& question : std::exchange(open_, {})) answers_.emplace(question, DnsAnswer{});
            advance();
        }
    }

    // Until wake(), at most as long as `patience`.
    asio::awaitable<void> wait(Duration patience) {
        struct Waiting {
            Work& work;
            asio::steady_timer timer;
            Waiting(Work& owner, Duration time)
                : work(owner), timer(owner.shard_.context(), std::max(Duration::zero(), time)) {
                work.waiting_ = &timer;
            }
            ~Waiting() { work.waiting_ = nullptr; }
            Waiting(const Waiting&) = delete;
            Waiting& operator=(const Waiting&) = delete;
        };
        Waiting waiting(*this, patience);
        boost::system::error_code ignored;
        co_await waiting.timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }

    void wake() {
        if (waiting_ != nullptr) waiting_->cancel();
    }

    asio::awaitable<Result<void>> judge_signatures() {
        if (dkim_.wanted_keys().empty()) {  // nothing that takes its time
            dkim_verdicts_ = dkim_.finish({});
            co_return Result<void>{};
        }
        sign::DkimKeyAnswers keys;
        for (const auto& name : dkim_.wanted_keys()) {
            keys.emplace(name, key_answer(answers_[{RecordKind::txt, name}]));
        }
        auto job = [self = shared_from_this(), keys = std::move(keys)] {
            auto verdicts = self->dkim_.finish(keys);
            self->shard_.post([self, verdicts = std::move(verdicts)]() mutable {
                self->dkim_verdicts_ = std::move(verdicts);
                self->wake();
            });
        };
        if (!context_.workers.submit(std::move(job)))
            co_return Error{Errc::unavailable, "too many messages wait to be verified"};
        if (!dkim_verdicts_) co_await wait(context_.worker_patience);
        if (!dkim_verdicts_)
            co_return Error{Errc::unavailable, "no turn to be verified came in time"};
        co_return Result<void>{};
    }

    Findings conclude() {
        Findings findings;
        findings.session = session_;
        if (spf_) findings.spf = *spf_;
        findings.dkim = *dkim_verdicts_;
        if (published_) {
            const auto by =
                authenticated_by(spf_facts_.value_or(SpfFacts{}), findings.spf, findings.dkim);
            findings.dmarc = judge_dmarc(
                *published_, author_.domain, by,
                [this](const std::string& name) { return suffixes_->organization_of(name); });
        } else {
            findings.dmarc = {DmarcResult::permerror, author_.fault, {}, std::nullopt};
        }
        return findings;
    }

    VerifyContext& context_;
    runtime::Shard& shard_;
    dns::DnsResolver& dns_;
    const SessionFacts session_;
    const std::optional<SpfFacts> spf_facts_;
    sign::DkimCheck dkim_;  // a worker's while it finishes
    const std::shared_ptr<const PublicSuffixes> suffixes_;
    Author author_;
    std::string organization_;  // of its domain
    BootTime dns_until_{};

    std::set<DnsQuestion> open_;
    DnsAnswers answers_;
    bool dns_is_over_ = false;
    asio::steady_timer* waiting_ = nullptr;

    std::optional<SpfVerdict> spf_;
    std::optional<DmarcPublished> published_;
    std::optional<std::vector<sign::DkimVerdict>> dkim_verdicts_;
};

Verification::Verification(Place place,
                           SessionFacts session,
                           sign::DkimCheck dkim,
                           std::shared_ptr<const PublicSuffixes> suffixes)
    : work_(
          std::make_shared<Work>(place, std::move(session), std::move(dkim), std::move(suffixes))) {
    work_->advance();
}

Verification::~Verification() = default;

void Verification::header(const mail::Header& header) {
    work_->header(header);
}

void Verification::body(std::string_view piece) {
    work_->body(piece);
}

asio::awaitable<Result<Findings>> Verification::finish() {
    co_return co_await work_->finish();
}

}  // namespace posthorse::verify
