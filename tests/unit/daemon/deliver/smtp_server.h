// A real SMTP server on loopback that follows a script: polite or hostile, in clear or under TLS.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>

namespace posthorse::tests {

// The server's end of one connection. Every call blocks; a client that is gone throws.
class Peer {
public:
    struct Gone : std::runtime_error {
        using std::runtime_error::runtime_error;
    };

    explicit Peer(boost::asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}

    // Without the CR LF.
    std::string read_line();
    // Octets up to `end`, which is taken too.
    std::string read_until(std::string_view end);
    void write(std::string_view bytes);
    void start_tls();
    bool secure() const { return tls_ != nullptr; }
    // Ends when the client closes or resets; gives what it still sent.
    std::string read_to_end();
    void close();
    void reset();
    // From another thread: ends what blocks.
    void interrupt();

private:
    std::size_t read_some();

    boost::asio::ip::tcp::socket socket_;
    std::unique_ptr<boost::asio::ssl::context> context_;
    std::unique_ptr<boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>> tls_;
    std::string buffer_;
};

// Says what lets a client without extensions come to the end of RCPT; or on to its message.
void take_envelope(Peer& peer);
void wait_for_body(Peer& peer);

// What a polite server says. Replies are by the verb that begins a command, or by the whole line;
// "." answers the final dot, "" greets. An empty reply hangs up.
struct Manners {
    std::map<std::string, std::string> replies;
    std::vector<std::string> offers = {"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"};
    std::vector<std::string> offers_in_tls = {"PIPELINING", "8BITMIME"};
};

struct ReceivedMail {
    std::vector<std::string> envelope;  // MAIL and RCPT lines
    std::string body;                   // as on the wire, dots stuffed, without the final one
    bool secure = false;
};

class SmtpServer {
public:
    using Script = std::function<void(Peer&)>;

    explicit SmtpServer(Script script);
    explicit SmtpServer(Manners manners = {});
    ~SmtpServer();
    SmtpServer(const SmtpServer&) = delete;
    SmtpServer& operator=(const SmtpServer&) = delete;

    std::uint16_t port() const { return port_; }
    int connections() const { return connections_; }
    std::vector<ReceivedMail> mails() const;
    std::vector<std::string> commands() const;  // of all connections

    // Holds the conversation until QUIT or the client's end.
    void converse(Peer& peer, const Manners& manners);

private:
    void accept();
    void serve(Peer& peer);
    std::string reply_to(const std::string& line, const Manners& manners) const;

    Script script_;
    boost::asio::io_context context_;
    boost::asio::ip::tcp::acceptor acceptor_;
    std::uint16_t port_;
    std::atomic<int> connections_ = 0;
    std::atomic<bool> stopping_ = false;
    mutable std::mutex mutex_;
    std::vector<ReceivedMail> mails_;
    std::vector<std::string> commands_;
    std::list<Peer> peers_;
    std::vector<std::thread> threads_;
    std::thread accepting_;
};

}  // namespace posthorse::tests
