#include "daemon/auth/user_command.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>

#include "daemon/auth/password_file.h"
#include "daemon/auth/password_hash.h"
#include "daemon/auth/sasl.h"
#include "daemon/runtime/system_clock.h"

namespace posthorse::auth {
namespace {

// The controlling terminal, whatever standard input is; its echo comes back with the destructor.
class SilentTerminal {
public:
    SilentTerminal() : fd_(open("/dev/tty", O_RDWR | O_CLOEXEC)) {
        if (fd_ < 0 || tcgetattr(fd_, &before_) != 0) return;
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ready_ = tcsetattr(fd_, TCSAFLUSH, &silent) == 0;
    }
    ~SilentTerminal() {
        if (ready_) tcsetattr(fd_, TCSAFLUSH, &before_);
        if (fd_ >= 0) close(fd_);
    }
    SilentTerminal(const SilentTerminal&) = delete;
    SilentTerminal& operator=(const SilentTerminal&) = delete;

    bool ready() const { return ready_; }

    std::string ask(const std::string& question) {
        show(question);
        std::string line;
        for (char c = 0; read(fd_, &c, 1) == 1 && c != '\n';) line += c;
        show("\n");
        return line;
    }

private:
    void show(const std::string& text) {
        // A prompt that cannot be shown is no reason to refuse the answer.
        [[maybe_unused]] const auto written = write(fd_, text.data(), text.size());
    }

    int fd_;
    bool ready_ = false;
    termios before_{};
};

Result<std::string> ask_twice(const std::string& login) {
    SilentTerminal terminal;
    if (!terminal.ready()) {
        return Error{Errc::unavailable,
                     "there is no terminal to ask for a password; use --password-stdin"};
    }
    auto password = terminal.ask("Password for " + login + ": ");
    if (terminal.ask("Again: ") != password) {
        return Error{Errc::invalid, "the two passwords differ; nothing was changed"};
    }
    return password;
}

Result<std::string> first_line(std::istream& in) {
    std::string line;
    if (!std::getline(in, line)) {
        return Error{Errc::invalid, "no password on standard input; write it as the first line"};
    }
    if (line.ends_with('\r')) line.pop_back();
    return line;
}

std::string new_salt() {
    std::string salt;
    for (int i = 0; i < 2; ++i) {
        const auto word = runtime::random_u64();
        salt.append(reinterpret_cast<const char*>(&word), sizeof word);
    }
    return salt;
}

Result<Verifiers> verifiers_of(const std::string& password) {
    auto hash = hash_password(password);
    if (!hash) return hash.error();
    auto keys = make_scram_keys(password, new_salt());
    if (!keys) return keys.error();
    return Verifiers{std::move(*hash), std::move(*keys)};
}

Result<Verifiers> new_verifiers(const UserCommand& command, Console console) {
    auto password = command.source == PasswordSource::first_line ? first_line(console.in)
                                                                 : ask_twice(command.login);
    if (!password) return password.error();
    auto verifiers = verifiers_of(*password);
    explicit_bzero(password->data(), password->size());
    return verifiers;
}

int refuse(Console console, const Error& error) {
    console.err << "posthorse user: " << error.what << '\n';
    return 1;
}

int report(Console console, const Result<void>& result, const std::string& done) {
    if (!result) return refuse(console, result.error());
    console.out << done << '\n';
    return 0;
}

}  // namespace

int user_add(const UserCommand& command, Console console) {
    const auto verifiers = new_verifiers(command, console);
    if (!verifiers) return refuse(console, verifiers.error());
    return report(console, add_login(command.password_file, command.login, *verifiers),
                  "added " + command.login);
}

int user_passwd(const UserCommand& command, Console console) {
    const auto verifiers = new_verifiers(command, console);
    if (!verifiers) return refuse(console, verifiers.error());
    return report(console, change_login(command.password_file, command.login, *verifiers),
                  "changed the password of " + command.login);
}

int user_rm(const UserCommand& command, Console console) {
    return report(console, remove_login(command.password_file, command.login),
                  "removed " + command.login);
}

int user_ls(const UserCommand& command, Console console) {
    const auto table = load_passwords(command.password_file);
    if (!table) return refuse(console, table.error());
    for (const auto& [login, hash] : table->hashes) console.out << login << '\n';
    for (const auto& problem : table->problems) console.err << problem.to_string() << '\n';
    return 0;
}

}  // namespace posthorse::auth
