#include "tests/unit/daemon/dns/dns_server.h"

#include <arpa/inet.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "proto/types/assert.h"

namespace posthorse::tests {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using udp = asio::ip::udp;

std::string number(unsigned value) {
    return {static_cast<char>(value >> 8), static_cast<char>(value & 255)};
}

std::string encoded_name(const std::string& name) {
    std::string wire;
    for (std::size_t from = 0; from < name.size();) {
        const auto dot = std::min(name.find('.', from), name.size());
        wire += static_cast<char>(dot - from);
        wire += name.substr(from, dot - from);
        from = dot + 1;
    }
    return wire + '\0';
}

std::string address_bytes(int family, const std::string& text) {
    std::string bytes(family == AF_INET ? 4 : 16, '\0');
    PH_ASSERT(inet_pton(family, text.c_str(), bytes.data()) == 1);
    return bytes;
}

unsigned number_at(const std::string& wire, std::size_t at) {
    return (static_cast<unsigned char>(wire[at]) << 8) | static_cast<unsigned char>(wire[at + 1]);
}

}  // namespace

struct DnsServer::Io : std::enable_shared_from_this<Io> {
    struct Client {
        explicit Client(tcp::socket&& accepted) : socket(std::move(accepted)) {}
        tcp::socket socket;
        std::string question;
        std::string reply;
        unsigned char length[2]{};
    };

    Io(DnsServer& owner, asio::io_context& context)
        : server(owner),
          datagrams(context, {asio::ip::address_v4::loopback(), 0}),
          acceptor(context, {asio::ip::address_v4::loopback(), datagrams.local_endpoint().port()}) {
    }

    void receive() {
        datagrams.async_receive_from(
            asio::buffer(buffer), from,
            [self = shared_from_this()](boost::system::error_code code, std::size_t count) {
                if (code) return;
                const auto reply = self->server.reply_to({self->buffer, count}, false);
                if (!reply.empty())
                    self->datagrams.send_to(asio::buffer(reply), self->from, 0, code);
                self->receive();
            });
    }

    void accept() {
        acceptor.async_accept(
            [self = shared_from_this()](boost::system::error_code code, tcp::socket socket) {
                if (code) return;
                self->serve(std::make_shared<Client>(std::move(socket)));
                self->accept();
            });
    }

    void serve(const std::shared_ptr<Client>& client) {
        asio::async_read(client->socket, asio::buffer(client->length),
                         [self = shared_from_this(), client](boost::system::error_code code, auto) {
                             if (!code) self->read_question(client);
                         });
    }

    void read_question(const std::shared_ptr<Client>& client) {
        client->question.resize((client->length[0] << 8) | client->length[1]);
        asio::async_read(client->socket, asio::buffer(client->question),
                         [self = shared_from_this(), client](boost::system::error_code code, auto) {
                             if (code) return;
                             const auto reply = self->server.reply_to(client->question, true);
                             client->reply = number(static_cast<unsigned>(reply.size())) + reply;
                             asio::write(client->socket, asio::buffer(client->reply), code);
                             if (!code) self->serve(client);
                         });
    }

    DnsServer& server;
    udp::socket datagrams;
    tcp::acceptor acceptor;
    udp::endpoint from;
    char buffer[2048];
};

DnsServer::Record DnsServer::make_a(const std::string& address, std::uint32_t ttl_seconds) {
    return {a, address_bytes(AF_INET, address), ttl_seconds, {}};
}
DnsServer::Record DnsServer::make_aaaa(const std::string& address) {
    return {aaaa, address_bytes(AF_INET6, address), 300, {}};
}
DnsServer::Record DnsServer::make_mx(std::uint16_t preference, const std::string& host) {
    return {mx, number(preference) + encoded_name(host), 300, {}};
}
DnsServer::Record DnsServer::make_srv(const Service& service) {
    return {srv,
            number(service.priority) + number(service.weight) + number(service.port) +
                encoded_name(service.host),
            300,
            {}};
}
DnsServer::Record DnsServer::make_cname(const std::string& target) {
    return {cname, encoded_name(target), 300, {}};
}

DnsServer::Record DnsServer::make_ptr(const std::string& host) {
    return {ptr, encoded_name(host), 300, {}};
}
DnsServer::Record DnsServer::make_txt(const std::vector<std::string>& strings) {
    Record record{txt, {}, 300, {}};
    for (const auto& text : strings) (record.data += static_cast<char>(text.size())) += text;
    return record;
}

DnsServer::DnsServer() {
    // The port that UDP got may be taken for TCP: then another.
    for (int tries = 0; !io_; ++tries) {
        try {
            io_ = std::make_shared<Io>(*this, shard_.context());
        } catch (const boost::system::system_error&) {
            PH_ASSERT(tries < 20);
        }
    }
    io_->receive();
    io_->accept();
    shard_.start();
}

DnsServer::~DnsServer() = default;

void DnsServer::add(const std::string& name, Record record) {
    const std::lock_guard lock(mutex_);
    zone_[name].push_back(std::move(record));
}

void DnsServer::exists(const std::string& name) {
    const std::lock_guard lock(mutex_);
    zone_[name];
}

void DnsServer::fails(const std::string& name, std::uint16_t type) {
    const std::lock_guard lock(mutex_);
    fails_.emplace(name, type);
}

std::string DnsServer::address() const {
    return "127.0.0.1:" + std::to_string(io_->datagrams.local_endpoint().port());
}

std::string DnsServer::reply_to(const std::string& question, bool tcp) {
    ++questions_;
    if (tcp) ++questions_by_tcp_;
    std::string name;
    std::size_t at = 12;
    while (question[at] != 0) {
        const auto length = static_cast<std::size_t>(question[at]);
        if (!name.empty()) name += '.';
        for (const char c : question.substr(at + 1, length)) {
            name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        }
        at += length + 1;
    }
    const auto type = number_at(question, at + 1);
    auto asked = question.substr(12, at + 5 - 12);

    const auto how = mode.load();
    if (how == Mode::silent) return {};
    if (how == Mode::garbage) return question.substr(0, 2) + "\x81\x80 nonsense that is no DNS";
    const std::lock_guard lock(mutex_);
    const auto records = zone_.find(name);
    std::string answers;
    unsigned count = 0;
    const bool cut = how == Mode::truncated_udp && !tcp;
    if (records != zone_.end() && !cut) {
        for (const auto& record : records->second) {
            if (record.type != type && record.type != cname && record.owner.empty()) continue;
            answers += record.owner.empty() ? "\xC0\x0C" : encoded_name(record.owner);
            answers += number(record.type) + number(1) + number(record.ttl_seconds >> 16) +
                       number(record.ttl_seconds & 0xFFFF) +
                       number(static_cast<unsigned>(record.data.size())) + record.data;
            ++count;
        }
    }
    unsigned flags = 0x8180;
    if (cut) flags |= 0x0200;
    if (how == Mode::servfail || fails_.contains({name, static_cast<std::uint16_t>(type)})) {
        flags |= 2;
    } else if (records == zone_.end() && !cut) {
        flags |= 3;
    }
    auto id = question.substr(0, 2);
    if (how == Mode::wrong_id) id[0] = static_cast<char>(id[0] ^ 1);
    if (how == Mode::wrong_question) asked[1] = static_cast<char>(asked[1] == 'x' ? 'y' : 'x');
    return id + number(flags) + number(1) + number(count) + number(0) + number(0) + asked + answers;
}

}  // namespace posthorse::tests
