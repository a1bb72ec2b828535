// A self-signed certificate for "localhost", made once a process.
#pragma once

#include <string>

namespace posthorse::tests {

struct TestCertificate {
    std::string certificate;  // PEM
    std::string key;          // PEM
};
const TestCertificate& test_certificate();

// Writes both into `directory` as cert.pem and key.pem.
void write_test_certificate(const std::string& directory);

}  // namespace posthorse::tests
