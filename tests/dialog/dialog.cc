#include "tests/dialog/dialog.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace posthorse::test {

namespace {

class Reader {
public:
    explicit Reader(std::string name) { dialog_.name = std::move(name); }

    void line(std::string_view text) {
        ++line_number_;
        if (text.empty() || text.starts_with('#')) return;
        if (text.starts_with("profile ")) {
            dialog_.profile = text.substr(8);
            return;
        }
        const auto count = take_count(text);
        const auto step = parse(text);
        dialog_.steps.insert(dialog_.steps.end(), count, step);
    }

    Dialog finish() {
        if (dialog_.profile.empty()) fail("no profile is named");
        return std::move(dialog_);
    }

private:
    [[noreturn]] void fail(const std::string& why) const {
        throw std::runtime_error(dialog_.name + ':' + std::to_string(line_number_) + ": " + why);
    }

    static std::size_t take_count(std::string_view& text) {
        std::size_t count = 1;
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), count);
        text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
        return count;
    }

    DialogStep parse(std::string_view text) const {
        if (text == "TLS") return step(StepKind::tls, {});
        if (text == "CLOSED") return step(StepKind::closed, {});
        const auto mark = text.substr(0, 2);
        const std::string rest(text.substr(std::min<std::size_t>(3, text.size())));
        if (mark == "C:") return step(StepKind::send, unescape(rest) + "\r\n");
        if (mark == "C>") return step(StepKind::send, unescape(rest));
        if (mark == "S:") return step(StepKind::expect_line, rest);
        if (mark == "S*") return step(StepKind::expect_reply, rest);
        if (mark == "S+") return step(StepKind::reply_has, rest);
        if (mark == "S-") return step(StepKind::reply_lacks, rest);
        fail("not a statement: " + std::string(text));
    }

    DialogStep step(StepKind kind, std::string text) const {
        return {kind, std::move(text), line_number_};
    }

    std::string unescape(std::string_view text) const {
        std::string bytes;
        while (!text.empty()) {
            if (text.front() == '{') {
                bytes += take_repetition(text);
            } else if (text.front() == '\\') {
                bytes += take_escape(text);
            } else {
                bytes += text.front();
                text.remove_prefix(1);
            }
        }
        return bytes;
    }

    char take_escape(std::string_view& text) const {
        constexpr std::string_view letters = "rnt0\\", meanings{"\r\n\t\0\\", 5};
        const char letter = text.size() > 1 ? text[1] : '?';
        if (const auto at = letters.find(letter); at != std::string_view::npos) {
            text.remove_prefix(2);
            return meanings[at];
        }
        unsigned octet = 0;
        if (letter != 'x' || text.size() < 4) fail("unknown escape");
        const auto parsed = std::from_chars(text.data() + 2, text.data() + 4, octet, 16);
        if (parsed.ptr != text.data() + 4) fail("\\x wants two digits");
        text.remove_prefix(4);
        return static_cast<char>(octet);
    }

    std::string take_repetition(std::string_view& text) const {
        const auto end = text.find('}');
        const auto star = text.substr(0, end).rfind('*');
        std::size_t count = 0;
        if (end == std::string_view::npos || star == std::string_view::npos)
            fail("{text*N} is wanted");
        std::from_chars(text.data() + star + 1, text.data() + end, count);
        const auto once = unescape(text.substr(1, star - 1));
        text.remove_prefix(end + 1);
        std::string bytes;
        for (std::size_t i = 0; i < count; ++i) bytes += once;
        return bytes;
    }

    Dialog dialog_;
    std::size_t line_number_ = 0;
};

}  // namespace

Dialog parse_dialog(std::string name, std::string_view text) {
    Reader reader(std::move(name));
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        reader.line(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return reader.finish();
}

Dialog read_dialog(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error(file.string() + ": cannot be opened");
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    return parse_dialog(file.filename().string(), text);
}

std::vector<Dialog> read_dialogs(const std::filesystem::path& folder) {
    std::vector<Dialog> dialogs;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() == ".smtp") dialogs.push_back(read_dialog(entry.path()));
    }
    std::ranges::sort(dialogs, {}, &Dialog::name);
    return dialogs;
}

}  // namespace posthorse::test
