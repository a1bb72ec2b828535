#include "tests/unit/replication/edge/etcd_process.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "tests/unit/replication/edge/peer_fixture.h"

namespace posthorse::tests {
namespace {

constexpr auto patience = std::chrono::seconds{60};  // for a machine that is very busy

pid_t spawn(std::vector<std::string> command, const std::string& log) {
    std::vector<char*> arguments;
    for (auto& one : command) arguments.push_back(one.data());
    arguments.push_back(nullptr);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child != 0) return child;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ::dup2(fd, STDOUT_FILENO);
    ::dup2(fd, STDERR_FILENO);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
}

std::string url(const EtcdTls& tls, std::uint16_t port) {
    return (tls.ca_file.empty() ? "http://127.0.0.1:" : "https://127.0.0.1:") +
           std::to_string(port);
}

}  // namespace

EtcdProcess::EtcdProcess(const EtcdTls& tls, const Membership& membership)
    : port_(free_port()), endpoint_(url(tls, port_)) {
    const auto peer_port = membership.peer_port == 0 ? free_port() : membership.peer_port;
    const auto peer = url({}, peer_port);
    command_ = {"etcd", "--name", membership.name, "--data-dir", directory_.path() + "/data",
                "--listen-client-urls", endpoint_, "--advertise-client-urls", endpoint_,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster",
                membership.cluster.empty() ? membership.name + "=" + peer : membership.cluster,
                // elections of a moment
                "--heartbeat-interval", "50", "--election-timeout", "500"};
    if (!tls.ca_file.empty()) {
        command_.insert(command_.end(),
                        {"--client-cert-auth", "--trusted-ca-file", tls.ca_file, "--cert-file",
                         tls.certificate_file, "--key-file", tls.key_file});
    }
    start();
}

EtcdProcess::~EtcdProcess() {
    kill();
}

void EtcdProcess::start() {
    if (child_ < 0) child_ = spawn(command_, directory_.path() + "/log");
}

void EtcdProcess::kill() {
    if (child_ < 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(std::exchange(child_, -1), nullptr, 0);
}

void EtcdProcess::freeze() {
    ::kill(child_, SIGSTOP);
}

void EtcdProcess::thaw() {
    ::kill(child_, SIGCONT);
}

void EtcdProcess::control(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"etcdctl", "--endpoints", endpoint_});
    int status = -1;
    ::waitpid(spawn(std::move(arguments), directory_.path() + "/log"), &status, 0);
    REQUIRE(status == 0);
}

void EtcdProcess::keep_data(const std::string& directory) const {
    REQUIRE(child_ < 0);
    std::filesystem::copy(directory_.path() + "/data", directory,
                          std::filesystem::copy_options::recursive);
}

void EtcdProcess::put_back_data(const std::string& directory) const {
    REQUIRE(child_ < 0);
    std::filesystem::remove_all(directory_.path() + "/data");
    std::filesystem::copy(directory, directory_.path() + "/data",
                          std::filesystem::copy_options::recursive);
}

BootTime steady_time() {
    return BootTime{
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

void PatientHome::post(UniqueFunction<void()> work) {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
    posted_.notify_one();
}

bool PatientHome::step(std::chrono::steady_clock::time_point until) {
    std::unique_lock lock(mutex_);
    if (!posted_.wait_until(lock, until, [&] { return !work_.empty(); })) return false;
    auto work = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    work();
    return true;
}

bool PatientHome::run_until(const std::function<void(BootTime)>& tick,
                            const std::function<bool()>& condition) {
    const auto give_up = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        const auto now = std::chrono::steady_clock::now();
        if (now > give_up) return false;
        tick(steady_time());
        while (!condition() && step(now + std::chrono::milliseconds{20})) {
        }
    }
    return true;
}

void PatientHome::run_for(Duration time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (step(until)) {
    }
}

}  // namespace posthorse::tests
