// A real etcd on loopback, with its data in a directory that goes with the test, and what a test
// does to it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include <sys/types.h>

#include "proto/types/executor.h"
#include "proto/types/time.h"
#include "tests/unit/support/temporary_directory.h"

namespace posthorse::tests {

// Files of TLS; empty: none.
struct EtcdTls {
    std::string ca_file;
    std::string certificate_file;
    std::string key_file;
};

class EtcdProcess {
public:
    // A member of a cluster of its own, or of `peers`, which are "name=http://127.0.0.1:PORT".
    struct Membership {
        std::string name = "m1";
        std::uint16_t peer_port = 0;  // 0: any
        std::string cluster;          // empty: of it alone
    };
    EtcdProcess() : EtcdProcess(EtcdTls{}, Membership{}) {}
    explicit EtcdProcess(const EtcdTls& tls) : EtcdProcess(tls, Membership{}) {}
    EtcdProcess(const EtcdTls& tls, const Membership& membership);
    ~EtcdProcess();
    EtcdProcess(const EtcdProcess&) = delete;
    EtcdProcess& operator=(const EtcdProcess&) = delete;

    const std::string& endpoint() const { return endpoint_; }
    std::uint16_t port() const { return port_; }
    void start();
    void kill();  // as by `kill -9`, and gone when it returns
    void freeze();
    void thaw();
    // etcdctl with these arguments.
    void control(std::vector<std::string> arguments) const;
    // Its data as they are; it must not run.
    void keep_data(const std::string& directory) const;
    void put_back_data(const std::string& directory) const;

private:
    TemporaryDirectory directory_;
    std::uint16_t port_;
    std::string endpoint_;
    std::vector<std::string> command_;
    pid_t child_ = -1;
};

// The thread that waits is home; time is the machine's.
class PatientHome final : public Executor {
public:
    void post(UniqueFunction<void()> work) override;
    // Runs what is posted, and `tick` every 20 ms, until `condition` holds: false when it does not
    // within a minute.
    bool run_until(const std::function<void(BootTime)>& tick,
                   const std::function<bool()>& condition);
    // What is posted already, and what comes within `time`.
    void run_for(Duration time);

private:
    bool step(std::chrono::steady_clock::time_point until);

    std::mutex mutex_;
    std::condition_variable posted_;
    std::deque<UniqueFunction<void()>> work_;
};

BootTime steady_time();

}  // namespace posthorse::tests
