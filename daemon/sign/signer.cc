#include "daemon/sign/signer.h"

#include <algorithm>
#include <array>

#include "daemon/sign/dkim_memory.h"
#include "daemon/sign/key_lease.h"
#include "daemon/sign/opendkim.h"
#include "proto/mail/header.h"
#include "proto/types/assert.h"

namespace posthorse::sign {
namespace {

constexpr std::size_t field_bytes_max = 60'000;
constexpr std::size_t signed_fields_max = 100;
constexpr std::string_view signature_name = "DKIM-Signature: ";

// RFC 6376 section 5.4.1: what a reader sees, what threads and lists need, what gives the body its
// meaning. Fields that servers on the way add or change are not among them.
constexpr std::array<std::string_view, 27> signed_names{"From",
                                                        "Sender",
                                                        "Reply-To",
                                                        "Subject",
                                                        "Date",
                                                        "Message-ID",
                                                        "To",
                                                        "Cc",
                                                        "MIME-Version",
                                                        "Content-Type",
                                                        "Content-ID",
                                                        "Content-Transfer-Encoding",
                                                        "In-Reply-To",
                                                        "References",
                                                        "Content-Description",
                                                        "Resent-Date",
                                                        "Resent-From",
                                                        "Resent-To",
                                                        "Resent-Cc",
                                                        "List-Id",
                                                        "List-Help",
                                                        "List-Post",
                                                        "List-Owner",
                                                        "List-Unsubscribe",
                                                        "List-Archive",
                                                        "List-Subscribe",
                                                        "List-Unsubscribe-Post"};

// Named once more than they stand (RFC 6376 section 8.15).
constexpr std::array<const char*, 11> oversigned_names{
    "From",     "To",         "Cc",           "Subject",      "Date",
    "Reply-To", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
    nullptr};

bool is_signed(std::string_view name) {
    return std::any_of(signed_names.begin(), signed_names.end(),
                       [&](std::string_view one) { return mail::equal_ignoring_case(one, name); });
}

unsigned char* octets(std::string_view text) {
    return dkim_octets(text);
}
const unsigned char* octets(const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.c_str());
}

struct Canonicalization {
    dkim_canon_t header;
    dkim_canon_t body;
};

Canonicalization parse_canonicalization(std::string_view text) {
    const auto slash = text.find('/');
    const auto one = [](std::string_view word) {
        return word == "simple" ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED;
    };
    return {one(text.substr(0, slash)),
            one(slash == std::string_view::npos ? "" : text.substr(slash + 1))};
}

}  // namespace

struct Signer::Library {
    explicit Library(const std::string& setting)
        : handle(dkim_init(DkimMemory::allocate, DkimMemory::release)),
          canonicalization(parse_canonicalization(setting)) {
        PH_ASSERT(handle != nullptr);
        // The library copies the names; it wants the size of its own pointer.
        const auto status = dkim_options(handle, DKIM_OP_SETOPT, DKIM_OPTS_OVERSIGNHDRS,
                                         const_cast<const char**>(oversigned_names.data()),
                                         sizeof(unsigned char**));
        PH_ASSERT(status == DKIM_STAT_OK);
    }
    ~Library() { dkim_close(handle); }
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    DKIM_LIB* handle;
    Canonicalization canonicalization;
};

namespace {

// One signature under way.
class Signature {
public:
    // Null handle: out of memory.
    Signature(DKIM_LIB* library, const Canonicalization& canonicalization, const Identity& identity)
        : key_(identity.key), memory_(std::make_unique<DkimMemory>()) {
        const bool rsa = key_->kind() == KeyKind::rsa;
        DKIM_STAT status = DKIM_STAT_OK;
        handle_ =
            dkim_sign(library, octets(std::string("posthorse")), memory_.get(),
                      octets(std::string_view(key_->pem())), octets(identity.selector),
                      octets(identity.domain), rsa ? canonicalization.header : DKIM_CANON_RELAXED,
                      canonicalization.body, rsa ? DKIM_SIGN_RSASHA256 : DKIM_SIGN_ED25519SHA256,
                      -1, &status);
        if (handle_ != nullptr && !identity.signer.empty()) {
            dkim_set_signer(handle_, octets(identity.signer));
        }
    }
    ~Signature() { free(); }
    Signature(Signature&& other) noexcept
        : key_(other.key_),
          memory_(std::move(other.memory_)),
          handle_(std::exchange(other.handle_, nullptr)) {}
    Signature& operator=(Signature&&) = delete;

    bool made() const { return handle_ != nullptr; }
    KeyKind kind() const { return key_->kind(); }

    Result<void> field(std::string_view text) {
        return checked(dkim_header(handle_, octets(text), text.size()), "a header field");
    }
    Result<void> end_of_header() { return checked(dkim_eoh(handle_), "the header section"); }
    Result<void> body(std::string_view piece) {
        return checked(dkim_body(handle_, octets(piece), piece.size()), "the body");
    }

    Result<std::string> finish() {
        const KeyLease lease(key_->native());
        auto text = signature_field();
        free();  // within the lease: what the library holds of the key goes back
        return text;
    }

private:
    Result<std::string> signature_field() {
        if (auto ended = checked(dkim_eom(handle_, nullptr), "the end"); !ended)
            return ended.error();
        unsigned char* text = nullptr;
        std::size_t length = 0;
        auto got =
            checked(dkim_getsighdr_d(handle_, signature_name.size(), &text, &length), "the field");
        if (!got) return got.error();
        std::string field(signature_name);
        field.append(reinterpret_cast<const char*>(text), length);
        return field += "\r\n";
    }

    Result<void> checked(DKIM_STAT status, const char* what) const {
        if (status == DKIM_STAT_OK) return {};
        const char* reason = dkim_geterror(handle_);
        return Error{status == DKIM_STAT_SYNTAX ? Errc::invalid : Errc::unavailable,
                     std::string("DKIM: ") + what + " cannot be signed: " +
                         (reason != nullptr ? reason : dkim_getresultstr(status))};
    }

    void free() {
        if (handle_ != nullptr) dkim_free(std::exchange(handle_, nullptr));
    }

    const PrivateKey* key_;
    std::unique_ptr<DkimMemory> memory_;  // of handle_
    DKIM* handle_ = nullptr;
};

}  // namespace

struct Signing::Impl {
    std::shared_ptr<const void> library;  // of the signatures' handles
    std::shared_ptr<const KeyRing> ring;  // of their keys
    std::vector<Signature> signatures;
    std::string tail;  // the body's last two octets

    template <class Step>
    Result<void> for_each(Step step) {
        for (auto& signature : signatures) {
            if (Result<void> done = step(signature); !done) return done;
        }
        return {};
    }

    void remember_tail(std::string_view piece) {
        tail.append(piece.substr(piece.size() - std::min<std::size_t>(piece.size(), 2)));
        tail.erase(0, tail.size() - std::min<std::size_t>(tail.size(), 2));
    }
};

Signing::Signing(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Signing::Signing(Signing&&) noexcept = default;
Signing& Signing::operator=(Signing&&) noexcept = default;
Signing::~Signing() = default;

Result<void> Signing::header(std::string_view section) {
    std::size_t fields = 0;
    for (const auto& field : mail::parse_header(section).fields) {
        if (!is_signed(field.name)) continue;
        auto text = field.raw;
        if (text.ends_with("\r\n")) text.remove_suffix(2);
        if (text.size() > field_bytes_max || ++fields > signed_fields_max) {
            return Error{Errc::invalid, "DKIM: too long or too many fields '" +
                                            std::string(field.name) + "' to be signed"};
        }
        if (text.find('\0') != std::string_view::npos) {
            return Error{Errc::invalid, "DKIM: a NUL in field '" + std::string(field.name) + "'"};
        }
        auto fed = impl_->for_each([&](Signature& signature) { return signature.field(text); });
        if (!fed) return fed;
    }
    return impl_->for_each([](Signature& signature) { return signature.end_of_header(); });
}

Result<void> Signing::body(std::string_view piece) {
    if (piece.empty()) return {};
    impl_->remember_tail(piece);
    return impl_->for_each([&](Signature& signature) { return signature.body(piece); });
}

Result<std::string> Signing::finish() {
    if (!impl_->tail.empty() && impl_->tail != "\r\n") {
        if (auto ended = body("\r\n"); !ended) return ended.error();
    }
    std::string fields;
    auto done = impl_->for_each([&](Signature& signature) -> Result<void> {
        auto field = signature.finish();
        if (!field) return field.error();
        fields += *field;
        return {};
    });
    if (!done) return done.error();
    return fields;
}

bool Signing::is_brief() const {
    const auto& signatures = impl_->signatures;
    return signatures.size() == 1 && signatures.front().kind() == KeyKind::ed25519;
}

Signer::Signer(const std::string& canonicalization)
    : library_(std::make_shared<const Library>(canonicalization)),
      no_keys_(std::make_shared<const KeyRing>()),
      ring_(no_keys_) {}

Signer::~Signer() = default;

void Signer::use(std::shared_ptr<const KeyRing> ring) {
    if (ring != nullptr || ring_.load() == no_keys_) ring_ = std::move(ring);
}

Result<std::optional<Signing>> Signer::begin(std::string_view from) const {
    auto impl = std::make_unique<Signing::Impl>();
    impl->library = library_;
    impl->ring = ring_.load();
    if (impl->ring == nullptr)
        return Error{Errc::unavailable, "DKIM: the tables could not be read"};
    const auto identities = impl->ring->select(from);
    if (!identities) return identities.error();
    if (identities->empty()) return std::optional<Signing>();
    for (const auto& identity : *identities) {
        impl->signatures.emplace_back(library_->handle, library_->canonicalization, identity);
        if (impl->signatures.back().made()) continue;
        return Error{Errc::unavailable, "DKIM: no signature for d=" + identity.domain +
                                            " s=" + identity.selector + " can be begun"};
    }
    return std::optional<Signing>(Signing(std::move(impl)));
}

Result<std::string> sign_message(const Signer& signer,
                                 std::string_view from,
                                 std::string_view message) {
    auto signing = signer.begin(from);
    if (!signing) return signing.error();
    if (!*signing) return std::string();
    const auto body = mail::find_body(message);
    const auto head_end = body == std::string_view::npos ? message.size() : body - 2;
    auto step = (*signing)->header(message.substr(0, head_end));
    if (step && body != std::string_view::npos) step = (*signing)->body(message.substr(body));
    if (!step) return step.error();
    return (*signing)->finish();
}

}  // namespace posthorse::sign
