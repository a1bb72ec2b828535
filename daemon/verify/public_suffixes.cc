#include "daemon/verify/public_suffixes.h"

#include <libpsl.h>

namespace posthorse::verify {

Result<std::shared_ptr<const PublicSuffixes>> PublicSuffixes::load(const std::string& file) {
    auto* list = file.empty() ? psl_latest(nullptr) : psl_load_file(file.c_str());
    if (list != nullptr && psl_suffix_count(list) != 0) {
        return std::shared_ptr<const PublicSuffixes>(new PublicSuffixes(list));
    }
    psl_free(list);
    const auto name = file.empty() ? std::string("the system's list") : file;
    return Error{Errc::unavailable,
                 name +
                     ": no list of public suffixes can be read there; install the package "
                     "publicsuffix, or name its file in verify.public_suffixes"};
}

PublicSuffixes::~PublicSuffixes() {
    psl_free(list_);
}

std::string PublicSuffixes::organization_of(const std::string& domain) const {
    const auto* organization = psl_registrable_domain(list_, domain.c_str());
    return organization == nullptr ? domain : organization;
}

}  // namespace posthorse::verify
