#include "tests/unit/daemon/deliver/smtp_server.h"

#include <sys/socket.h>

#include <boost/asio/write.hpp>

#include "tests/unit/support/test_certificate.h"

namespace posthorse::tests {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

// --- Peer

std::size_t Peer::read_some() {
    char bytes[16384];
    boost::system::error_code code;
    const auto count = tls_ ? tls_->read_some(asio::buffer(bytes), code)
                            : socket_.read_some(asio::buffer(bytes), code);
    if (code) throw Gone(code.message());
    buffer_.append(bytes, count);
    return count;
}

std::string Peer::read_until(std::string_view end) {
    for (std::size_t from = 0;;) {
        const auto at = buffer_.find(end, from);
        if (at != std::string::npos) {
            auto found = buffer_.substr(0, at);
            buffer_.erase(0, at + end.size());
            return found;
        }
        from = buffer_.size() - std::min(buffer_.size(), end.size() - 1);
        read_some();
    }
}

std::string Peer::read_line() {
    return read_until("\r\n");
}

void Peer::write(std::string_view bytes) {
    boost::system::error_code code;
    const auto buffer = asio::buffer(bytes.data(), bytes.size());
    tls_ ? asio::write(*tls_, buffer, code) : asio::write(socket_, buffer, code);
    if (code) throw Gone(code.message());
}

void Peer::start_tls() {
    const auto& identity = test_certificate();
    context_ = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
    context_->use_certificate_chain(asio::buffer(identity.certificate));
    context_->use_private_key(asio::buffer(identity.key), asio::ssl::context::pem);
    tls_ = std::make_unique<asio::ssl::stream<tcp::socket&>>(socket_, *context_);
    boost::system::error_code code;
    tls_->handshake(asio::ssl::stream_base::server, code);
    if (code) throw Gone(code.message());
}

std::string Peer::read_to_end() {
    try {
        for (;;) read_some();
    } catch (const Gone&) {
    }
    return std::move(buffer_);
}

void Peer::close() {
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
}

void Peer::reset() {
    boost::system::error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
}

void Peer::interrupt() {
    ::shutdown(socket_.native_handle(), SHUT_RDWR);
}

// --- SmtpServer

void take_envelope(Peer& peer) {
    peer.write("220 hi\r\n");
    peer.read_line();
    peer.write("250 hi\r\n");
    for (int i = 0; i < 2; ++i) {
        peer.read_line();
        peer.write("250 ok\r\n");
    }
}

void wait_for_body(Peer& peer) {
    take_envelope(peer);
    peer.read_line();
    peer.write("354 ok\r\n");
}

SmtpServer::SmtpServer(Script script)
    : script_(std::move(script)),
      acceptor_(context_, {asio::ip::address_v4::loopback(), 0}),
      port_(acceptor_.local_endpoint().port()),
      accepting_([this] { accept(); }) {}

SmtpServer::SmtpServer(Manners manners)
    : SmtpServer([this, manners = std::move(manners)](Peer& peer) { converse(peer, manners); }) {}

SmtpServer::~SmtpServer() {
    stopping_ = true;
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    accepting_.join();
    for (auto& peer : peers_) peer.interrupt();
    for (auto& thread : threads_) thread.join();
}

void SmtpServer::accept() {
    while (!stopping_) {
        boost::system::error_code code;
        auto socket = acceptor_.accept(code);
        if (code) return;
        socket.set_option(tcp::no_delay(true));
        ++connections_;
        auto& peer = peers_.emplace_back(std::move(socket));
        threads_.emplace_back([this, &peer] { serve(peer); });
    }
}

void SmtpServer::serve(Peer& peer) {
    try {
        script_(peer);
    } catch (const Peer::Gone&) {
    }
    peer.close();
}

std::string SmtpServer::reply_to(const std::string& line, const Manners& manners) const {
    const auto whole = manners.replies.find(line);
    if (whole != manners.replies.end()) return whole->second;
    const auto verb = manners.replies.find(line.substr(0, line.find_first_of(" :")));
    if (verb != manners.replies.end()) return verb->second;
    if (line.empty()) return "220 test.example ESMTP";
    if (line == "DATA") return "354 go on";
    if (line == "STARTTLS") return "220 go on";
    if (line == "QUIT") return "221 bye";
    return "250 2.0.0 ok";
}

void SmtpServer::converse(Peer& peer, const Manners& manners) {
    ReceivedMail mail;
    const auto say = [&](const std::string& line) {
        const auto reply = reply_to(line, manners);
        if (reply.empty()) throw Peer::Gone("hung up");
        peer.write(reply + "\r\n");
        return reply;
    };
    say("");
    for (;;) {
        const auto line = peer.read_line();
        {
            const std::lock_guard lock(mutex_);
            commands_.push_back(line);
        }
        if (line.starts_with("EHLO") && !manners.replies.contains("EHLO")) {
            std::string reply = "250-test.example\r\n";
            for (const auto& offer : peer.secure() ? manners.offers_in_tls : manners.offers) {
                reply += "250-" + offer + "\r\n";
            }
            peer.write(reply + "250 HELP\r\n");
            continue;
        }
        const auto reply = say(line);
        if (line == "QUIT") return;
        if (line == "RSET") mail = {};
        if (line == "STARTTLS" && reply.starts_with('2')) peer.start_tls();
        if (line.starts_with("MAIL") || line.starts_with("RCPT")) mail.envelope.push_back(line);
        if (line != "DATA" || !reply.starts_with('3')) continue;
        for (auto text = peer.read_line(); text != "."; text = peer.read_line()) {
            mail.body += text + "\r\n";
        }
        mail.secure = peer.secure();
        {
            const std::lock_guard lock(mutex_);
            mails_.push_back(std::exchange(mail, {}));
        }
        say(".");
    }
}

std::vector<ReceivedMail> SmtpServer::mails() const {
    const std::lock_guard lock(mutex_);
    return mails_;
}

std::vector<std::string> SmtpServer::commands() const {
    const std::lock_guard lock(mutex_);
    return commands_;
}

}  // namespace posthorse::tests
