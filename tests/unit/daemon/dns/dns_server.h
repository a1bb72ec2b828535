// A DNS server on loopback, UDP and TCP on one port, that answers as the test says: rightly or not.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/runtime/shard.h"

namespace posthorse::tests {

class DnsServer {
public:
    static constexpr std::uint16_t a = 1, cname = 5, ptr = 12, mx = 15, txt = 16, aaaa = 28,
                                   srv = 33;

    struct Record {
        std::uint16_t type = a;
        std::string data;  // encoded
        std::uint32_t ttl_seconds = 300;
        std::string owner;  // empty: the name that was asked for
    };
    enum class Mode : std::uint8_t {
        answer,
        silent,
        servfail,
        wrong_id,
        wrong_question,
        garbage,
        truncated_udp,  // empty and truncated by UDP, whole by TCP
    };

    static Record make_a(const std::string& address, std::uint32_t ttl_seconds = 300);
    static Record make_aaaa(const std::string& address);
    static Record make_mx(std::uint16_t preference, const std::string& host);
    struct Service {
        std::uint16_t priority, weight, port;
        std::string host;
    };
    static Record make_srv(const Service& service);
    static Record make_cname(const std::string& target);
    static Record make_ptr(const std::string& host);
    static Record make_txt(const std::vector<std::string>& strings);

    DnsServer();
    ~DnsServer();
    DnsServer(const DnsServer&) = delete;
    DnsServer& operator=(const DnsServer&) = delete;

    // A name without any record does not exist.
    void add(const std::string& name, Record record);
    void exists(const std::string& name);
    // Questions for these get SERVFAIL, whatever the mode.
    void fails(const std::string& name, std::uint16_t type);
    std::atomic<Mode> mode{Mode::answer};

    std::string address() const;  // "127.0.0.1:12345"
    int questions() const { return questions_; }
    int questions_by_tcp() const { return questions_by_tcp_; }

private:
    struct Io;
    std::string reply_to(const std::string& question, bool tcp);

    std::mutex mutex_;
    std::map<std::string, std::vector<Record>> zone_;        // mutex_
    std::set<std::pair<std::string, std::uint16_t>> fails_;  // mutex_
    std::atomic<int> questions_ = 0;
    std::atomic<int> questions_by_tcp_ = 0;
    runtime::Shard shard_{9};
    std::shared_ptr<Io> io_;
};

}  // namespace posthorse::tests
