#include "daemon/admin/old_names.h"

#include <doctest/doctest.h>

using namespace posthorse;
using admin::by_old_name;

namespace {

std::string becomes(const char* program, const std::vector<std::string>& given) {
    const auto result = by_old_name(program, given);
    if (!result) return "another name";
    if (!*result) return (*result).error().what;
    std::string words;
    for (const auto& word : **result) words += (words.empty() ? "" : " ") + word;
    return words;
}

}  // namespace

TEST_CASE("mailq and sendmail are what they were, where there is an equal") {
    CHECK(becomes("mailq", {}) == "queue ls");
    CHECK(becomes("/usr/bin/mailq", {"-v", "-Ac"}) == "queue ls");
    CHECK(becomes("/usr/sbin/sendmail", {"-bp"}) == "queue ls");
    CHECK(becomes("sendmail", {"-q"}) == "queue flush");
    CHECK(becomes("sendmail", {"-q", "-v"}) == "queue flush");
    CHECK(becomes("sendmail", {"-v", "-q"}) == "queue flush");
    CHECK(becomes("sendmail", {"-qI01M80MGT5G000000G0000G0000"}) ==
          "queue retry --id 01M80MGT5G000000G0000G0000");
    CHECK(becomes("sendmail", {"-qI", "01M80MGT5G"}) == "queue retry --id 01M80MGT5G");
    CHECK(becomes("sendmail", {"-qRann@example.org"}) == "queue retry --recipient ann@example.org");
    CHECK(becomes("sendmail", {"-qS", "bob@example.org"}) ==
          "queue retry --sender bob@example.org");
    CHECK(becomes("/usr/bin/posthorse", {"queue", "ls"}) == "another name");
}

TEST_CASE("what has no equal is refused, and says what to do") {
    CHECK(becomes("sendmail", {"-t", "-i"}).find("submit it over SMTP") != std::string::npos);
    CHECK(becomes("sendmail", {}).find("submit it over SMTP") != std::string::npos);
    CHECK(becomes("sendmail", {"-bd", "-q15m"}).find("submit it over SMTP") != std::string::npos);
    CHECK(becomes("sendmail", {"-q15m"}).find("by itself") != std::string::npos);
    CHECK(becomes("sendmail", {"-qI"}).find("needs a value") != std::string::npos);
    CHECK(becomes("mailq", {"-Q"}).find("not known") != std::string::npos);
}
