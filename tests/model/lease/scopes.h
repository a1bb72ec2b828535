// What model_lease searches.
#pragma once

#include <string>
#include <vector>

#include "tests/model/lease/scope.h"

namespace posthorse::model::lease {

std::vector<Scope> scopes();
std::string describe(const Scope& scope);

}  // namespace posthorse::model::lease
