#include "daemon/runtime/input_buffer.h"

#include <doctest/doctest.h>

#include <string>

using posthorse::runtime::InputBuffer;

namespace {

void read(InputBuffer& buffer, std::string_view text, std::size_t room) {
    const auto place = buffer.room(room);
    REQUIRE(place.size() == room);
    text.copy(place.data(), text.size());
    buffer.grew(text.size());
}

}  // namespace

TEST_CASE("octets come out of an input buffer as they came in") {
    InputBuffer buffer;
    CHECK(buffer.empty());
    CHECK(buffer.text().empty());
    read(buffer, "EHLO a\r\nMAI", 16);
    CHECK(buffer.text() == "EHLO a\r\nMAI");
    buffer.drop(8);
    CHECK(buffer.text() == "MAI");
    read(buffer, "L FROM:<>\r\n", 64);  // more than is left
    CHECK(buffer.text() == "MAIL FROM:<>\r\n");
    read(buffer, "", 4);
    CHECK(buffer.size() == 14);
    buffer.drop(15);
    CHECK(buffer.empty());
}

TEST_CASE("an input buffer that is taken whole needs no more memory than one read") {
    InputBuffer buffer;
    const char* place = nullptr;
    for (int i = 0; i < 3; ++i) {
        const auto room = buffer.room(100);
        if (i > 0) CHECK(room.data() == place);
        place = room.data();
        buffer.grew(100);
        buffer.drop(60);
        buffer.drop(40);
    }
}

TEST_CASE("what is left in an input buffer moves to the front before the buffer grows") {
    InputBuffer buffer;
    read(buffer, "12345678", 10);
    const auto* const place = buffer.text().data();
    buffer.drop(6);
    read(buffer, "abcdefgh", 8);
    CHECK(buffer.text().data() == place);
    CHECK(buffer.text() == "78abcdefgh");
}

TEST_CASE("an input buffer gives memory back only when it is empty and has more than it may") {
    InputBuffer buffer;
    read(buffer, "QUIT\r\n", 1000);
    const auto* const place = buffer.text().data();
    buffer.shrink(100);
    CHECK(buffer.text() == "QUIT\r\n");
    buffer.clear();
    buffer.shrink(1000);
    CHECK(buffer.room(1000).data() == place);
    buffer.shrink(100);
    CHECK(buffer.text().empty());
    read(buffer, "NOOP", 8);
    CHECK(buffer.text() == "NOOP");
}
