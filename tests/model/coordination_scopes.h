// The scopes that are searched, small ones first.
#pragma once

#include <string>
#include <vector>

#include "tests/model/coordination_scope.h"

namespace posthorse::model {

std::vector<Scope> scopes();
std::string describe(const Scope& scope);

}  // namespace posthorse::model
