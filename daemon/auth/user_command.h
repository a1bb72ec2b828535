// `posthorse user add | passwd | rm | ls`: the password file at the command line.
//
// Place     Called by daemon/main.cc; works whether a node runs or not (SIGHUP makes one read the
//           file anew).
// Contract  Each returns the process's exit code: 0 done; 1 refused, with the reason on `err`.
//           A password comes from the first line of `in`, or is asked for twice at the terminal,
//           without echo. It never comes from an argument, where others could see it.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

namespace posthorse::auth {

enum class PasswordSource : std::uint8_t { terminal, first_line };

struct UserCommand {
    std::string password_file;
    std::string login;  // unused by user_ls
    PasswordSource source = PasswordSource::terminal;
};
struct Console {
    std::istream& in;
    std::ostream& out;
    std::ostream& err;
};

int user_add(const UserCommand& command, Console console);
int user_passwd(const UserCommand& command, Console console);
int user_rm(const UserCommand& command, Console console);
int user_ls(const UserCommand& command, Console console);

}  // namespace posthorse::auth
