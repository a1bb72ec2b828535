#include "daemon/admin/old_names.h"

namespace posthorse::admin {
namespace {

using Arguments = std::vector<std::string>;

const Error takes_no_mail{
    Errc::invalid,
    "sendmail: this program takes no mail: submit it over SMTP, or use a sendmail such as msmtp or "
    "nullmailer; -bp, -q, -qI ID, -qR RECIPIENT and -qS SENDER are known here"};

// mailq -v and its like change how much is said, or name what has no meaning here.
bool changes_nothing(std::string_view option) {
    return option == "-v" || option == "-Ac" || option == "-Am" || option == "-i";
}

Result<Arguments> mailq(const Arguments& given) {
    for (const auto& one : given) {
        if (!changes_nothing(one))
            return Error{Errc::invalid, "mailq: '" + one +
                                            "' is not known; see `posthorse queue ls "
                                            "--help` for filters"};
    }
    return Arguments{"queue", "ls"};
}

// -q alone, -q15m, -qI ID, -qR RECIPIENT, -qS SENDER (with or without the blank).
Result<Arguments> queue_run(std::string_view which, std::string_view next) {
    if (which.empty()) return Arguments{"queue", "flush"};
    const std::string value(which.size() > 1 ? which.substr(1) : next);
    const auto wanted = [&](const char* filter) -> Result<Arguments> {
        if (value.empty())
            return Error{Errc::invalid, "sendmail: -q" + std::string(which) + " needs a value"};
        return Arguments{"queue", "retry", filter, value};
    };
    switch (which.front()) {
        case 'I':
            return wanted("--id");
        case 'R':
            return wanted("--recipient");
        case 'S':
            return wanted("--sender");
        default:
            return Error{Errc::invalid,
                         "sendmail: -q" + std::string(which) +
                             ": a node retries by itself (queue.min_retry_age); -q alone tries all "
                             "now"};
    }
}

Result<Arguments> sendmail(const Arguments& given) {
    for (std::size_t i = 0; i < given.size(); ++i) {
        const std::string_view option = given[i];
        if (changes_nothing(option)) continue;
        if (option == "-bp")
            return mailq({given.begin() + static_cast<std::ptrdiff_t>(i) + 1, given.end()});
        if (!option.starts_with("-q")) return takes_no_mail;
        return queue_run(option.substr(2), i + 1 < given.size() ? given[i + 1] : "");
    }
    return takes_no_mail;
}

}  // namespace

std::optional<Result<std::vector<std::string>>> by_old_name(std::string_view program,
                                                            const Arguments& given) {
    const auto name = program.substr(program.rfind('/') + 1);
    if (name == "mailq") return mailq(given);
    if (name == "sendmail") return sendmail(given);
    return std::nullopt;
}

}  // namespace posthorse::admin
