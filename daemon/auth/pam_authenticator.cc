#include "daemon/auth/pam_authenticator.h"

#include <security/pam_appl.h>
#include <string.h>

#include <cstdlib>
#include <memory>

#include "daemon/auth/sasl.h"

namespace posthorse::auth {
namespace {

struct Question {
    LoginAttempt attempt;
    Executor& where;
    Completion<bool> done;

    ~Question() { explicit_bzero(attempt.password.data(), attempt.password.size()); }
    void answer(Result<bool> result) {
        where.post([done = std::move(done), result = std::move(result)]() mutable {
            done(std::move(result));
        });
    }
};

// libpam frees what is answered.
int answer_prompts(int count, const pam_message** asked, pam_response** answers, void* owner) {
    if (count <= 0 || count > PAM_MAX_NUM_MSG) return PAM_CONV_ERR;
    const auto& attempt = *static_cast<const LoginAttempt*>(owner);
    const auto size = static_cast<std::size_t>(count);
    auto* said = static_cast<pam_response*>(std::calloc(size, sizeof(pam_response)));
    if (said == nullptr) return PAM_BUF_ERR;
    for (std::size_t i = 0; i < size; ++i) {
        if (asked[i]->msg_style == PAM_PROMPT_ECHO_OFF) {
            said[i].resp = strdup(attempt.password.c_str());
        } else if (asked[i]->msg_style == PAM_PROMPT_ECHO_ON) {
            said[i].resp = strdup(attempt.login.c_str());
        }
    }
    *answers = said;
    return PAM_SUCCESS;
}

void no_delay(int, unsigned, void*) {}

class Transaction {
public:
    Transaction(const PamAuthenticator::Settings& settings, LoginAttempt& attempt)
        : conversation_{answer_prompts, &attempt} {
        const char* directory = settings.directory.empty() ? nullptr : settings.directory.c_str();
        last_ = pam_start_confdir(settings.service.c_str(), attempt.login.c_str(), &conversation_,
                                  directory, &handle_);
        begun_ = last_ == PAM_SUCCESS;
    }
    ~Transaction() {
        if (handle_ != nullptr) pam_end(handle_, last_);
    }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    int run(const std::string& client) {
        constexpr int flags = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;
        if (!begun_) return last_;
        pam_set_item(handle_, PAM_RHOST, client.c_str());
        pam_set_item(handle_, PAM_FAIL_DELAY, reinterpret_cast<const void*>(&no_delay));
        last_ = pam_authenticate(handle_, flags);
        if (last_ == PAM_SUCCESS) last_ = pam_acct_mgmt(handle_, flags);
        return last_;
    }
    bool begun() const { return begun_; }
    std::string what() const { return pam_strerror(handle_, last_); }

private:
    pam_conv conversation_;
    pam_handle_t* handle_ = nullptr;
    int last_ = PAM_SYSTEM_ERR;
    bool begun_ = false;
};

// Whether PAM cannot tell, rather than says no. A program of pam_exec that refuses the password is
// PAM_SYSTEM_ERR to it, whatever its exit code is.
bool cannot_tell(int result) {
    switch (result) {
        case PAM_AUTHINFO_UNAVAIL:
        case PAM_MODULE_UNKNOWN:
        case PAM_OPEN_ERR:
        case PAM_SYMBOL_ERR:
        case PAM_SERVICE_ERR:
        case PAM_BUF_ERR:
        case PAM_CONV_ERR:
        case PAM_CONV_AGAIN:
        case PAM_INCOMPLETE:
        case PAM_ABORT:
            return true;
        default:
            return false;
    }
}

Result<bool> ask(const PamAuthenticator::Settings& settings, LoginAttempt& attempt) {
    // A login is what the password file calls one, too: no control reaches a module's script.
    const auto login = normalise_login(attempt.login);
    const bool whole = attempt.password.find('\0') == std::string::npos;
    if (!login || !whole || attempt.password.empty()) return false;
    attempt.login = *login;
    Transaction transaction(settings, attempt);
    const int result = transaction.run(attempt.client);
    if (transaction.begun() && !cannot_tell(result)) return result == PAM_SUCCESS;
    return Error{Errc::unavailable,
                 "PAM service '" + settings.service + "': " + transaction.what()};
}

}  // namespace

PamAuthenticator::PamAuthenticator(Settings settings)
    : settings_(std::move(settings)), workers_(settings_.threads, settings_.waiting_max, "pam") {}

PamAuthenticator::~PamAuthenticator() {
    stopping_ = true;
}

void PamAuthenticator::check(LoginAttempt attempt, Executor& where, Completion<bool> done) {
    const std::shared_ptr<Question> question(
        new Question{std::move(attempt), where, std::move(done)});
    const bool taken = workers_.submit([this, question] {
        if (stopping_) return question->answer(Error{Errc::unavailable, "this node stops"});
        question->answer(ask(settings_, question->attempt));
    });
    if (!taken) {
        question->answer(Error{Errc::unavailable,
                               "too many logins wait for PAM; try again later, or raise "
                               "auth.pam_threads"});
    }
}

ScramKeys PamAuthenticator::scram_keys(std::string_view login) const {
    return made_up_keys("", login);
}

}  // namespace posthorse::auth
