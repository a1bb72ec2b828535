#include "proto/mail/address_list.h"

#include <cstddef>

namespace posthorse::mail {

namespace {

// An address, and where in the value it stands.
struct Spot {
    std::string address;
    std::size_t begin = 0;
    std::size_t end = 0;
};

class AddressListReader {
public:
    explicit AddressListReader(std::string_view value) : value_(value) {}

    std::vector<Spot> read() {
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
                angle_ = {};
                return;
            case '>':
                in_angle_ = false;
                return;
            case ':':
                entry() = {};  // ends a group's name, or in brackets a route
                return;
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
                add(c);
        }
    }

    Spot& entry() { return in_angle_ ? angle_ : bare_; }

    void add(char c) {
        auto& spot = entry();
        if (spot.address.empty()) spot.begin = at_;
        spot.address += c;
        spot.end = at_ + 1;
    }

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
        add('"');
        bool escaped = false;
        for (++at_; at_ < value_.size(); ++at_) {
            const char c = value_[at_];
            if (c == '\r' || c == '\n') continue;
            add(c);
            if (c == '"' && !escaped) return;
            escaped = c == '\\' && !escaped;
        }
    }

    void finish_entry() {
        auto& spot = angle_.address.empty() ? bare_ : angle_;
        if (spot.address.find('@') != std::string::npos) found_.push_back(std::move(spot));
        angle_ = {};
        bare_ = {};
        in_angle_ = false;
    }

    std::string_view value_;
    std::size_t at_ = 0;
    bool in_angle_ = false;
    Spot angle_;  // what stands between < and > of the entry
    Spot bare_;   // what stands outside
    std::vector<Spot> found_;
};

}  // namespace

std::vector<std::string> addresses_of(std::string_view value) {
    std::vector<std::string> addresses;
    for (auto& spot : AddressListReader(value).read()) addresses.push_back(std::move(spot.address));
    return addresses;
}

std::string with_addresses(std::string_view value,
                           const std::function<std::string(const std::string& address)>& other) {
    std::string changed;
    std::size_t copied = 0;
    for (const auto& spot : AddressListReader(value).read()) {
        changed += value.substr(copied, spot.begin - copied);
        changed += other(spot.address);
        copied = spot.end;
    }
    return changed += value.substr(copied);
}

}  // namespace posthorse::mail
