#include "daemon/admin/operators.h"

#include <map>

#include <doctest/doctest.h>

namespace posthorse::admin {
namespace {

using Reason = CallRefusal::Reason;

const Operators operators{.readers = {"rita", "ann"}, .operators = {"olga"}, .admins = {"ann"}};

TEST_CASE("every method of the service says in admin.proto which role it takes") {
    const std::map<std::string, v1::Role> expected{
        {"GetStatus", v1::ROLE_READ},      {"ListMessages", v1::ROLE_READ},
        {"GetMessage", v1::ROLE_READ},     {"Summarize", v1::ROLE_READ},
        {"GetPool", v1::ROLE_READ},        {"ListSetAside", v1::ROLE_READ},
        {"ReadMessage", v1::ROLE_OPERATE}, {"Act", v1::ROLE_OPERATE},
        {"Flush", v1::ROLE_OPERATE},       {"Reload", v1::ROLE_OPERATE},
        {"SetDraining", v1::ROLE_OPERATE}, {"ActOnSetAside", v1::ROLE_ADMIN},
        {"RemoveMember", v1::ROLE_ADMIN},  {"MovePool", v1::ROLE_ADMIN}};
    const auto* service = v1::GetStatusRequest::descriptor()->file()->FindServiceByName("Admin");
    REQUIRE(service != nullptr);
    CHECK(service->method_count() == static_cast<int>(expected.size()));
    for (int i = 0; i < service->method_count(); ++i) {
        const auto* method = service->method(i);
        CAPTURE(method->name());
        REQUIRE(expected.contains(method->name()));
        CHECK(method->options().GetExtension(v1::role) == expected.at(method->name()));
        CHECK(role_taken("/posthorse.v1.Admin/" + method->name()) == expected.at(method->name()));
    }
}

TEST_CASE("health and reflection take the least role, what is not known the highest") {
    CHECK(role_taken("/grpc.health.v1.Health/Check") == v1::ROLE_READ);
    CHECK(role_taken("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo") ==
          v1::ROLE_READ);
    for (const char* path : {"", "/", "GetStatus", "/posthorse.v1.Admin/",
                             "/posthorse.v1.Admin/getstatus", "/posthorse.v1.Admin/GetStatus/",
                             "/posthorse.v1.NodeQueue/List", "/grpc.health.v1.HealthX/Check"}) {
        CAPTURE(path);
        CHECK(role_taken(path) == v1::ROLE_ADMIN);
    }
}

TEST_CASE("of several names and lists the highest role counts; names are compared octet by octet") {
    CHECK(find_operator(operators, {"rita"})->role == v1::ROLE_READ);
    CHECK(find_operator(operators, {"olga"})->role == v1::ROLE_OPERATE);
    CHECK(find_operator(operators, {"ann"})->role == v1::ROLE_ADMIN);
    const auto best = find_operator(operators, {"stranger", "rita", "olga"});
    REQUIRE(best);
    CHECK(best->name == "olga");
    for (const auto& name : {std::string("Ann"), std::string("an"), std::string("ann "),
                             std::string("ann\0", 4), std::string("*")}) {
        CAPTURE(name);
        CHECK_FALSE(find_operator(operators, {name}));
    }
    CHECK_FALSE(find_operator({}, {"ann"}));
}

TEST_CASE("a refusal says what is missing, safe for a log") {
    const auto none = judge_call(operators, {}, "/posthorse.v1.Admin/GetStatus");
    REQUIRE(none);
    CHECK(none->reason == Reason::no_name);

    const auto unknown = judge_call(operators, {"eve\n", "mallory"}, "/posthorse.v1.Admin/Flush");
    REQUIRE(unknown);
    CHECK(unknown->reason == Reason::unknown_name);
    CHECK(unknown->what.find("eve , mallory") != std::string::npos);
    CHECK(unknown->what.find("admin.operators") != std::string::npos);

    const auto low = judge_call(operators, {"rita"}, "/posthorse.v1.Admin/Act");
    REQUIRE(low);
    CHECK(low->reason == Reason::role_too_low);
    CHECK(low->name == "rita");
    CHECK(low->what == "rita has the role read, this call takes operate");
    CHECK_FALSE(judge_call(operators, {"olga"}, "/posthorse.v1.Admin/Act"));
    CHECK_FALSE(judge_call(operators, {"ann"}, "/posthorse.v1.Admin/Act"));
}

TEST_CASE("what the request says never takes the place of the certificate's name") {
    CHECK(audited_name("ann", "") == "ann");
    CHECK(audited_name("ann", "root") == "ann (says root)");
    CHECK(audited_name(std::string(5000, 'x'), "root").size() < 256);
}

}  // namespace
}  // namespace posthorse::admin
