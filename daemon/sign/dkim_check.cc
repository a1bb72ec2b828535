#include "daemon/sign/dkim_check.h"

#include <algorithm>
#include <cstring>

#include "daemon/sign/dkim_memory.h"
#include "daemon/sign/opendkim.h"
#include "proto/mail/dkim_signature.h"
#include "proto/types/assert.h"

namespace posthorse::sign {
namespace {

constexpr std::string_view signature_name = "DKIM-Signature";
// As much as libopendkim has room for: RSA keys of 4096 bits and more (RFC 8301 section 3.2).
constexpr std::size_t key_record_bytes_max = 1024;

std::string key_name(const std::string& selector, const std::string& domain) {
    return selector + "._domainkey." + domain;
}

// RFC 6376 section 3.6.2.2 leaves open what several records mean: here that no key is there to be
// relied on.
struct Key {
    DkimResult result = DkimResult::pass;
    std::string reason;
    std::string record;
};

Key key_for(const DkimKeyAnswers& answers, const std::string& name) {
    const auto known = answers.find(name);
    const auto* answer = known == answers.end() ? nullptr : &known->second;
    if (answer == nullptr || answer->end == DkimKeyAnswer::End::failed)
        return {DkimResult::temperror, "no answer for the key", {}};
    if (answer->end == DkimKeyAnswer::End::absent || answer->records.empty())
        return {DkimResult::permerror, "no key", {}};
    if (answer->records.size() > 1) return {DkimResult::permerror, "several keys", {}};
    const auto& record = answer->records.front();
    if (record.size() > key_record_bytes_max) return {DkimResult::permerror, "key too long", {}};
    if (record.empty() || record.find('\0') != std::string::npos)
        return {DkimResult::permerror, "malformed key", {}};
    return {DkimResult::pass, {}, record};
}

// The keys that a handle's call of find_key() may ask for.
struct KeySource {
    const DkimKeyAnswers* answers = nullptr;
};

DKIM_CBSTAT find_key(DKIM* dkim, DKIM_SIGINFO* signature, unsigned char* into, std::size_t size) {
    const auto* source = static_cast<const KeySource*>(dkim_get_user_context(dkim));
    if (source == nullptr || source->answers == nullptr) return DKIM_CBSTAT_TRYAGAIN;
    const std::string domain(reinterpret_cast<const char*>(dkim_sig_getdomain(signature)));
    const std::string selector(reinterpret_cast<const char*>(dkim_sig_getselector(signature)));
    const auto key = key_for(*source->answers, key_name(selector, domain));
    if (key.result == DkimResult::temperror) return DKIM_CBSTAT_TRYAGAIN;
    if (key.result != DkimResult::pass || key.record.size() >= size) return DKIM_CBSTAT_NOTFOUND;
    std::memcpy(into, key.record.c_str(), key.record.size() + 1);
    return DKIM_CBSTAT_CONTINUE;
}

// What of a length (l=) a reader should know; empty: the whole body is signed.
std::string length_reason(DKIM* dkim, DKIM_SIGINFO* signature) {
    ssize_t body = 0;
    ssize_t canonical = 0;
    ssize_t covered = 0;
    if (dkim_sig_getcanonlen(dkim, signature, &body, &canonical, &covered) != DKIM_STAT_OK)
        return {};
    if (covered < 0) return {};
    return "l=" + std::to_string(covered) + " covers a part of the body only";
}

bool is_malformed(int error) {
    switch (error) {
        case DKIM_SIGERROR_BADSIG:
        case DKIM_SIGERROR_EXPIRED:
        case DKIM_SIGERROR_FUTURE:
        case DKIM_SIGERROR_TIMESTAMPS:
        case DKIM_SIGERROR_TOOLARGE_L:
        case DKIM_SIGERROR_SUBDOMAIN:
            return false;
        default:
            return true;
    }
}

}  // namespace

std::string_view to_string(DkimResult result) {
    switch (result) {
        case DkimResult::pass:
            return "pass";
        case DkimResult::fail:
            return "fail";
        case DkimResult::policy:
            return "policy";
        case DkimResult::temperror:
            return "temperror";
        case DkimResult::permerror:
            return "permerror";
    }
    return "permerror";
}

struct DkimVerifier::Library {
    explicit Library(DKIM_LIB* made) : handle(made) {}
    ~Library() {
        if (handle != nullptr) dkim_close(handle);
    }
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    DKIM_LIB* handle;
};

struct DkimCheck::Impl {
    // One signature of the message. Those that are malformed never reach the library.
    struct Signature {
        mail::DkimTags tags;
        DkimVerdict verdict;
        int place = -1;  // among those that the library has; -1: it has it not
    };

    ~Impl() {
        if (handle != nullptr) dkim_free(handle);
    }

    void take(const mail::Field& field);
    bool feed(std::string_view raw);
    void give_up(DkimResult result, const std::string& reason);
    void judge(Signature& signature, DKIM_SIGINFO* info, const DkimKeyAnswers& keys);

    std::shared_ptr<const void> library;  // of handle
    std::unique_ptr<DkimMemory> memory = std::make_unique<DkimMemory>();
    DKIM* handle = nullptr;
    KeySource source;
    std::vector<Signature> signatures;
    std::vector<std::string> wanted;
    bool reads_body = false;
    std::string tail;  // the body's last two octets
    int fed_count = 0;
};

void DkimCheck::Impl::take(const mail::Field& field) {
    if (!mail::equal_ignoring_case(field.name, signature_name)) {
        if (field.raw.size() <= header_bytes_max && field.raw.find('\0') == std::string_view::npos)
            feed(field.raw);
        return;
    }
    if (signatures.size() == signatures_max) return;
    auto& signature = signatures.emplace_back();
    auto tags = mail::parse_dkim_signature(field.value);
    if (!tags) {
        signature.verdict.reason = "signature: " + tags.error().what;
        return;
    }
    signature.tags = std::move(*tags);
    auto& verdict = signature.verdict;
    verdict.domain = signature.tags.domain;
    verdict.selector = signature.tags.selector;
    verdict.algorithm = signature.tags.algorithm;
    verdict.signature = signature.tags.signature;
    if (!feed(field.raw)) {
        verdict.reason = "signature: malformed";
        return;
    }
    signature.place = fed_count++;
    auto name = key_name(signature.tags.selector, signature.tags.domain);
    if (std::ranges::find(wanted, name) == wanted.end()) wanted.push_back(std::move(name));
}

bool DkimCheck::Impl::feed(std::string_view raw) {
    if (raw.ends_with("\r\n")) raw.remove_suffix(2);
    return dkim_header(handle, dkim_octets(raw), raw.size()) == DKIM_STAT_OK;
}

// No signature is looked at any further.
void DkimCheck::Impl::give_up(DkimResult result, const std::string& reason) {
    for (auto& signature : signatures) {
        if (signature.place < 0) continue;
        signature.place = -1;
        signature.verdict.result = result;
        signature.verdict.reason = reason;
    }
    wanted.clear();
    reads_body = false;
}

void DkimCheck::Impl::judge(Signature& signature, DKIM_SIGINFO* info, const DkimKeyAnswers& keys) {
    auto& verdict = signature.verdict;
    const auto error = dkim_sig_geterror(info);
    if (verdict.algorithm == "rsa-sha1") {
        verdict.reason = "rsa-sha1 verifies nothing";
        return;
    }
    const bool is_good = error == DKIM_SIGERROR_OK && dkim_sig_getbh(info) == DKIM_SIGBH_MATCH &&
                         (dkim_sig_getflags(info) & DKIM_SIGFLAG_PASSED) != 0;
    if (is_good) {
        verdict.result = DkimResult::pass;
        verdict.reason = length_reason(handle, info);
        return;
    }
    const auto key = key_for(keys, key_name(verdict.selector, verdict.domain));
    const bool key_is_to_blame = error == DKIM_SIGERROR_UNKNOWN || error == DKIM_SIGERROR_NOKEY;
    if (key_is_to_blame && key.result != DkimResult::pass) {
        verdict.result = key.result;
        verdict.reason = key.reason;
        return;
    }
    verdict.result = is_malformed(error) ? DkimResult::permerror : DkimResult::fail;
    const bool body_differs = dkim_sig_getbh(info) == DKIM_SIGBH_MISMATCH;
    const char* text = dkim_sig_geterrorstr(error);
    verdict.reason = body_differs ? "the body was changed" : text == nullptr ? "" : text;
}

DkimCheck::DkimCheck(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DkimCheck::DkimCheck(DkimCheck&&) noexcept = default;
DkimCheck& DkimCheck::operator=(DkimCheck&&) noexcept = default;
DkimCheck::~DkimCheck() = default;

void DkimCheck::header(const mail::Header& header) {
    const bool is_signed = header.find(signature_name) != nullptr;
    if (!is_signed) return;
    const auto count = std::min(header.fields.size(), fields_max);
    for (std::size_t i = 0; i < count; ++i) impl_->take(header.fields[i]);
    if (count < header.fields.size()) {
        if (impl_->signatures.empty()) impl_->signatures.emplace_back();
        auto& first = impl_->signatures.front().verdict;
        first.result = DkimResult::policy;
        first.reason = "too many header fields";
        return impl_->give_up(DkimResult::policy, "too many header fields");
    }
    if (impl_->fed_count == 0) return;
    impl_->reads_body = true;
    if (const auto status = dkim_eoh(impl_->handle); status != DKIM_STAT_OK) {
        impl_->give_up(DkimResult::permerror, dkim_getresultstr(status));
    }
}

const std::vector<std::string>& DkimCheck::wanted_keys() const {
    return impl_->wanted;
}

void DkimCheck::body(std::string_view piece) {
    if (!impl_->reads_body || piece.empty()) return;
    auto& tail = impl_->tail;
    tail.append(piece.substr(piece.size() - std::min<std::size_t>(piece.size(), 2)));
    tail.erase(0, tail.size() - std::min<std::size_t>(tail.size(), 2));
    const auto status = dkim_body(impl_->handle, dkim_octets(piece), piece.size());
    if (status != DKIM_STAT_OK) impl_->give_up(DkimResult::permerror, dkim_getresultstr(status));
}

std::vector<DkimVerdict> DkimCheck::finish(const DkimKeyAnswers& keys) {
    // RFC 6376 section 3.4.3: a body without a final CR LF is signed as if it had one.
    if (!impl_->tail.empty() && impl_->tail != "\r\n") body("\r\n");
    if (impl_->reads_body) {
        impl_->source.answers = &keys;
        dkim_eom(impl_->handle, nullptr);  // each signature says for itself how it ended
        impl_->source.answers = nullptr;
    }
    DKIM_SIGINFO** infos = nullptr;
    int count = 0;
    if (impl_->reads_body) dkim_getsiglist(impl_->handle, &infos, &count);
    std::vector<DkimVerdict> verdicts;
    for (auto& signature : impl_->signatures) {
        if (signature.place >= 0 && signature.place < count)
            impl_->judge(signature, infos[signature.place], keys);
        verdicts.push_back(std::move(signature.verdict));
    }
    return verdicts;
}

DkimVerifier::DkimVerifier(std::shared_ptr<const Library> library) : library_(std::move(library)) {}
DkimVerifier::~DkimVerifier() = default;

Result<std::unique_ptr<DkimVerifier>> DkimVerifier::make() {
    const Error none{Errc::unavailable, "DKIM: libopendkim gives no handle"};
    auto library = std::make_shared<Library>(dkim_init(DkimMemory::allocate, DkimMemory::release));
    if (library->handle == nullptr) return none;
    // Keys are there at the end only, and a malformed signature must not hide the others.
    unsigned flags = DKIM_LIBFLAGS_DELAYSIGPROC | DKIM_LIBFLAGS_BADSIGHANDLES;
    const auto status =
        dkim_options(library->handle, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags);
    if (status != DKIM_STAT_OK) return none;
    if (dkim_set_key_lookup(library->handle, find_key) != DKIM_STAT_OK) return none;
    return std::unique_ptr<DkimVerifier>(new DkimVerifier(std::move(library)));
}

Result<DkimCheck> DkimVerifier::begin() const {
    auto impl = std::make_unique<DkimCheck::Impl>();
    impl->library = library_;
    DKIM_STAT status = DKIM_STAT_OK;
    impl->handle =
        dkim_verify(library_->handle, dkim_octets("posthorse"), impl->memory.get(), &status);
    if (impl->handle == nullptr)
        return Error{Errc::unavailable, "DKIM: no verification can be begun"};
    if (dkim_set_user_context(impl->handle, &impl->source) != DKIM_STAT_OK)
        return Error{Errc::unavailable, "DKIM: no verification can be begun"};
    return DkimCheck(std::move(impl));
}

}  // namespace posthorse::sign
