#include "proto/mail/address_list.h"

#include <cstddef>

namespace posthorse::mail {

namespace {

class AddressListReader {
public:
    explicit AddressListReader(std::string_view value) : value_(value) {}

    std::vector<std::string> read() {
        for (at_ = 0; at_ < value_.size(); ++at_) take(value_[at_]);
        finish_entry();
        return std::move(found_);
    }

private:
    void take(char c) {
        switch (c) {
            case '(':
                return skip_comment();
            case '"':
                return take_quoted();
            case '<':
                in_angle_ = true;
                angle_.clear();
                return;
            case '>':
                in_angle_ = false;
                return;
            case ':':
                return entry().clear();  // ends a group's name, or in brackets a route
            case ';':
                return finish_entry();
            case ',':
                if (!in_angle_) finish_entry();
                return;
            case ' ':
            case '\t':
            case '\r':
            case '\n':
                return;
            default:
                entry() += c;
        }
    }

    std::string& entry() { return in_angle_ ? angle_ : bare_; }

    void skip_comment() {
        for (std::size_t depth = 0; at_ < value_.size(); ++at_) {
            if (value_[at_] == '\\')
                ++at_;
            else if (value_[at_] == '(')
                ++depth;
            else if (value_[at_] == ')' && --depth == 0)
                return;
        }
    }

    void take_quoted() {
        entry() += '"';
        bool escaped = false;
        for (++at_; at_ < value_.size(); ++at_) {
            const char c = value_[at_];
            if (c == '\r' || c == '\n') continue;
            entry() += c;
            if (c == '"' && !escaped) return;
            escaped = c == '\\' && !escaped;
        }
    }

    void finish_entry() {
        auto& address = angle_.empty() ? bare_ : angle_;
        if (address.find('@') != std::string::npos) found_.push_back(address);
        angle_.clear();
        bare_.clear();
        in_angle_ = false;
    }

    std::string_view value_;
    std::size_t at_ = 0;
    bool in_angle_ = false;
    std::string angle_;  // what stands between < and > of the entry
    std::string bare_;   // what stands outside
    std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> addresses_of(std::string_view value) {
    return AddressListReader(value).read();
}

}  // namespace posthorse::mail
