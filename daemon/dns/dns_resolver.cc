#include "daemon/dns/dns_resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "proto/types/destination.h"

namespace posthorse::dns {
namespace {

namespace asio = boost::asio;
using Octets = std::span<const unsigned char>;

constexpr int edns_bytes = 1232;  // fits every path's packet (DNS flag day 2020)

// One resource record of an answer section, its data still encoded.
struct Record {
    std::uint16_t type = 0;
    std::uint32_t ttl_seconds = 0;
    Octets data;
};

std::uint16_t number_in(Octets octets, std::size_t at) {
    return static_cast<std::uint16_t>((unsigned{octets[at]} << 8) | octets[at + 1]);
}

// Walks a DNS message. Every method gives nullopt at the first octet that makes no sense.
class MessageReader {
public:
    explicit MessageReader(Octets message) : message_(message) {}

    // The records of the answer section. c-ares has checked the header against the question.
    std::optional<std::vector<Record>> answers() {
        if (message_.size() < HFIXEDSZ) return std::nullopt;
        const auto questions = number_at(4);
        const auto count = number_at(6);
        at_ = HFIXEDSZ;
        for (unsigned i = 0; i < questions; ++i) {
            if (!skip_name() || !skip(QFIXEDSZ)) return std::nullopt;
        }
        std::vector<Record> records;
        for (unsigned i = 0; i < count; ++i) {
            auto record = next_record();
            if (!record) return std::nullopt;
            records.push_back(*record);
        }
        return records;
    }

    // The host name that begins at `data`, a part of the message.
    std::optional<std::string> host_at(Octets data) const {
        char* text = nullptr;
        long taken = 0;
        if (ares_expand_name(data.data(), message_.data(), static_cast<int>(message_.size()), &text,
                             &taken) != ARES_SUCCESS) {
            return std::nullopt;
        }
        std::string host(text);
        ares_free_string(text);
        for (auto& c : host) {
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        }
        return detail::host_characters(host, false) ? host : "invalid";
    }

private:
    std::uint32_t number_at(std::size_t at) const { return number_in(message_, at); }
    bool skip(std::size_t count) {
        if (message_.size() - at_ < count) return false;
        at_ += count;
        return true;
    }
    bool skip_name() {
        char* text = nullptr;
        long taken = 0;
        if (at_ >= message_.size() ||
            ares_expand_name(message_.data() + at_, message_.data(),
                             static_cast<int>(message_.size()), &text, &taken) != ARES_SUCCESS) {
            return false;
        }
        ares_free_string(text);
        return skip(static_cast<std::size_t>(taken));
    }
    std::optional<Record> next_record() {
        if (!skip_name()) return std::nullopt;
        const auto fixed = at_;
        if (!skip(RRFIXEDSZ)) return std::nullopt;
        Record record;
        record.type = static_cast<std::uint16_t>(number_at(fixed));
        record.ttl_seconds = (number_at(fixed + 4) << 16) | number_at(fixed + 6);
        const auto length = number_at(fixed + 8);
        const auto begin = at_;
        if (!skip(length)) return std::nullopt;
        record.data = message_.subspan(begin, length);
        return record;
    }

    Octets message_;
    std::size_t at_ = 0;
};

std::optional<MxRecord> read_mx(const MessageReader& message, const Record& record) {
    if (record.type != ns_t_mx || record.data.size() < 3) return std::nullopt;
    auto host = message.host_at(record.data.subspan(2));
    if (!host) return std::nullopt;
    return MxRecord{number_in(record.data, 0), std::move(*host)};
}

std::optional<SrvRecord> read_srv(const MessageReader& message, const Record& record) {
    if (record.type != ns_t_srv || record.data.size() < 7) return std::nullopt;
    auto host = message.host_at(record.data.subspan(6));
    if (!host) return std::nullopt;
    return SrvRecord{number_in(record.data, 0), number_in(record.data, 2),
                     number_in(record.data, 4), std::move(*host)};
}

std::optional<std::string> read_address(const MessageReader&, const Record& record) {
    const bool v4 = record.type == ns_t_a && record.data.size() == NS_INADDRSZ;
    const bool v6 = record.type == ns_t_aaaa && record.data.size() == NS_IN6ADDRSZ;
    if (!v4 && !v6) return std::nullopt;
    char text[INET6_ADDRSTRLEN];
    return inet_ntop(v4 ? AF_INET : AF_INET6, record.data.data(), text, sizeof text);
}

std::optional<std::string> read_txt(const MessageReader&, const Record& record) {
    if (record.type != ns_t_txt) return std::nullopt;
    std::string text;
    for (auto rest = record.data; !rest.empty();) {
        const std::size_t length = rest.front();
        if (length >= rest.size()) return std::nullopt;
        text.append(reinterpret_cast<const char*>(rest.data()) + 1, length);
        rest = rest.subspan(1 + length);
    }
    return text;
}

std::optional<std::string> read_ptr(const MessageReader& message, const Record& record) {
    if (record.type != ns_t_ptr || record.data.empty()) return std::nullopt;
    return message.host_at(record.data);
}

// "1.2.0.192.in-addr.arpa" of "192.0.2.1"; empty: no address.
std::string reverse_name(const std::string& address) {
    constexpr std::string_view hex = "0123456789abcdef";
    unsigned char octets[NS_IN6ADDRSZ];
    std::string name;
    if (inet_pton(AF_INET, address.c_str(), octets) == 1) {
        for (int i = NS_INADDRSZ - 1; i >= 0; --i) name += std::to_string(octets[i]) + '.';
        return name + "in-addr.arpa";
    }
    if (inet_pton(AF_INET6, address.c_str(), octets) != 1) return name;
    for (int i = NS_IN6ADDRSZ - 1; i >= 0; --i) {
        (((name += hex[octets[i] & 15]) += '.') += hex[octets[i] >> 4]) += '.';
    }
    return name + "ip6.arpa";
}

template <class Value>
Answer<Value> failed(int status) {
    Answer<Value> answer;
    if (status == ARES_ENOTFOUND || status == ARES_EBADNAME) {
        answer.end = LookupEnd::no_domain;
    } else if (status == ARES_ENODATA) {
        answer.end = LookupEnd::no_data;
    } else {
        answer.error = ares_strerror(status);
    }
    return answer;
}

template <class Value, class Read>
Answer<Value> parse(Octets octets, Read read) {
    MessageReader message(octets);
    const auto records = message.answers();
    if (!records) return failed<Value>(ARES_EBADRESP);
    Answer<Value> answer;
    answer.ttl_seconds = UINT32_MAX;
    for (const auto& record : *records) {
        auto value = read(message, record);
        if (!value || answer.records.size() == DnsResolver::records_max) continue;
        answer.records.push_back(std::move(*value));
        answer.ttl_seconds = std::min(answer.ttl_seconds, record.ttl_seconds);
    }
    answer.end = answer.records.empty() ? LookupEnd::no_data : LookupEnd::found;
    if (answer.records.empty()) answer.ttl_seconds = 0;
    return answer;
}

}  // namespace

// One c-ares channel and what ties it to the loop. Handlers hold it weakly: an event that was
// queued when the resolver died finds nothing.
class DnsResolver::Channel : public std::enable_shared_from_this<Channel> {
public:
    Channel(asio::io_context& context, const Settings& settings)
        : context_(context), timer_(context) {
        ares_options options{};
        options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS;
        options.timeout = static_cast<int>(settings.timeout.count());
        options.tries = settings.tries;
        options.ednspsz = edns_bytes;
        options.sock_state_cb = [](void* self, ares_socket_t socket, int read, int write) {
            static_cast<Channel*>(self)->watch(socket, read != 0, write != 0);
        };
        options.sock_state_cb_data = this;
        const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                         ARES_OPT_SOCK_STATE_CB | ARES_OPT_EDNSPSZ;
        ares_channel made = nullptr;
        check(ares_init_options(&made, &options, mask), "c-ares");
        channel_.reset(made);
        if (!settings.servers.empty()) use_servers(settings.servers);
    }

    void cancel() { ares_cancel(channel_.get()); }

    // Answers what is open, for good.
    void close() {
        timer_.cancel();
        const auto closing = std::move(channel_);
    }

    template <class Value, class Read>
    void query(const std::string& name,
               int type,
               Read read,
               UniqueFunction<void(Answer<Value>)> done) {
        struct Query {
            Read read;
            UniqueFunction<void(Answer<Value>)> done;
        };
        auto* query = new Query{read, std::move(done)};  // deleted in its callback
        ares_query(
            channel_.get(), name.c_str(), ns_c_in, type,
            [](void* argument, int status, int, unsigned char* octets, int count) {
                const std::unique_ptr<Query> ended(static_cast<Query*>(argument));
                ended->done(
                    status == ARES_SUCCESS
                        ? parse<Value>({octets, static_cast<std::size_t>(count)}, ended->read)
                        : failed<Value>(status));
            },
            query);
        set_timer();
    }

private:
    struct Library {
        Library() { ares_library_init(ARES_LIB_INIT_ALL); }
        ~Library() { ares_library_cleanup(); }
        Library(const Library&) = delete;
        Library& operator=(const Library&) = delete;
    };
    struct Destroy {
        void operator()(ares_channel channel) const { ares_destroy(channel); }
    };
    struct Socket {
        explicit Socket(asio::io_context& context, int descriptor) : watched(context, descriptor) {}
        asio::posix::stream_descriptor watched;
        bool read = false;     // wanted
        bool write = false;    // wanted
        bool reading = false;  // a wait is under way
        bool writing = false;
    };

    static void check(int status, const std::string& what) {
        if (status != ARES_SUCCESS) {
            throw std::runtime_error("DNS resolver: " + what + ": " + ares_strerror(status));
        }
    }

    void use_servers(const std::vector<std::string>& servers) {
        std::string list;
        for (const auto& server : servers) (list += list.empty() ? "" : ",") += server;
        check(ares_set_servers_ports_csv(channel_.get(), list.c_str()),
              "delivery.dns_servers '" + list + "'");
    }

    // c-ares wants to hear of this socket; (false, false): it is about to close it.
    void watch(int descriptor, bool read, bool write) {
        if (!read && !write) {
            const auto gone = sockets_.extract(descriptor);
            if (gone) gone.mapped()->watched.release();
            return;
        }
        auto& socket = sockets_[descriptor];
        if (!socket) socket = std::make_shared<Socket>(context_, descriptor);
        socket->read = read;
        socket->write = write;
        wait(descriptor, socket);
    }

    auto ready(int descriptor, std::weak_ptr<Socket> socket, bool for_read) {
        return [self = weak_from_this(), socket, descriptor,
                for_read](const boost::system::error_code& code) {
            const auto channel = self.lock();
            const auto known = socket.lock();
            if (code || !channel || !known || !channel->channel_) return;
            (for_read ? known->reading : known->writing) = false;
            ares_process_fd(channel->channel_.get(), for_read ? descriptor : ARES_SOCKET_BAD,
                            for_read ? ARES_SOCKET_BAD : descriptor);
            // c-ares may have closed the socket meanwhile, and opened one with the same number.
            const auto now = channel->sockets_.find(descriptor);
            if (now != channel->sockets_.end() && now->second == known) {
                channel->wait(descriptor, known);
            }
            channel->set_timer();
        };
    }

    void wait(int descriptor, const std::shared_ptr<Socket>& socket) {
        using Descriptor = asio::posix::stream_descriptor;
        if (socket->read && !std::exchange(socket->reading, true)) {
            socket->watched.async_wait(Descriptor::wait_read, ready(descriptor, socket, true));
        }
        if (socket->write && !std::exchange(socket->writing, true)) {
            socket->watched.async_wait(Descriptor::wait_write, ready(descriptor, socket, false));
        }
    }

    void set_timer() {
        timeval left{};
        if (!channel_ || ares_timeout(channel_.get(), nullptr, &left) == nullptr) {
            timer_.cancel();
            return;
        }
        timer_.expires_after(std::chrono::seconds{left.tv_sec} +
                             std::chrono::microseconds{left.tv_usec});
        timer_.async_wait([self = weak_from_this()](const boost::system::error_code& code) {
            const auto channel = self.lock();
            if (code || !channel || !channel->channel_) return;
            ares_process_fd(channel->channel_.get(), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
            channel->set_timer();
        });
    }

    asio::io_context& context_;
    asio::steady_timer timer_;
    Library library_;
    std::map<int, std::shared_ptr<Socket>> sockets_;
    std::unique_ptr<ares_channeldata, Destroy> channel_;  // goes first: it still calls watch()
};

DnsResolver::DnsResolver(runtime::Shard& shard, const Settings& settings)
    : channel_(std::make_shared<Channel>(shard.context(), settings)) {}

DnsResolver::~DnsResolver() {
    channel_->close();
}

void DnsResolver::cancel() {
    channel_->cancel();
}

void DnsResolver::mx(const std::string& domain, UniqueFunction<void(MxAnswer)> done) {
    channel_->query<MxRecord>(domain, ns_t_mx, read_mx, std::move(done));
}

void DnsResolver::srv(const std::string& name, UniqueFunction<void(SrvAnswer)> done) {
    channel_->query<SrvRecord>(name, ns_t_srv, read_srv, std::move(done));
}

void DnsResolver::addresses_of(const std::string& host,
                               AddressFamily family,
                               UniqueFunction<void(AddressAnswer)> done) {
    const auto type = family == AddressFamily::v4 ? ns_t_a : ns_t_aaaa;
    channel_->query<std::string>(host, type, read_address, std::move(done));
}

void DnsResolver::txt(const std::string& name, UniqueFunction<void(TextAnswer)> done) {
    channel_->query<std::string>(name, ns_t_txt, read_txt, std::move(done));
}

void DnsResolver::ptr(const std::string& address, UniqueFunction<void(HostAnswer)> done) {
    const auto name = reverse_name(address);
    if (name.empty()) return done(failed<std::string>(ARES_EBADNAME));
    channel_->query<std::string>(name, ns_t_ptr, read_ptr, std::move(done));
}

void DnsResolver::addresses(std::vector<std::string> hosts,
                            UniqueFunction<void(std::vector<HostAddresses>)> done) {
    struct Gathering {
        std::vector<HostAddresses> hosts;
        std::size_t open = 0;
        UniqueFunction<void(std::vector<HostAddresses>)> done;
        void one_answered() {
            if (--open == 0) done(std::move(hosts));
        }
    };
    const auto all = std::make_shared<Gathering>();
    all->done = std::move(done);
    all->hosts.resize(hosts.size());
    all->open = 2 * hosts.size() + 1;  // and this loop
    for (std::size_t i = 0; i < hosts.size(); ++i) {
        all->hosts[i].host = hosts[i];
        channel_->query<std::string>(hosts[i], ns_t_aaaa, read_address,
                                     [all, i](AddressAnswer answer) {
                                         all->hosts[i].v6 = std::move(answer);
                                         all->one_answered();
                                     });
        channel_->query<std::string>(hosts[i], ns_t_a, read_address,
                                     [all, i](AddressAnswer answer) {
                                         all->hosts[i].v4 = std::move(answer);
                                         all->one_answered();
                                     });
    }
    all->one_answered();
}

}  // namespace posthorse::dns
