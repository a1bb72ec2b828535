#include "daemon/admin/cli_json.h"

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <fmt/format.h>

#include "daemon/admin/cli_text.h"
#include "proto/types/assert.h"

namespace posthorse::admin {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            (out += '\\') += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
            out += c;
        }
    }
    return out += '"';
}

std::string message_value(const Message& message) {
    if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&message)) {
        return quoted(format_time(*time));
    }
    if (const auto* duration = dynamic_cast<const google::protobuf::Duration*>(&message)) {
        const int millis = duration->nanos() / 1'000'000;
        return millis == 0 ? fmt::format("\"{}s\"", duration->seconds())
                           : fmt::format("\"{}.{:03}s\"", duration->seconds(), millis);
    }
    return to_json(message);
}

// Reads a singular field (index < 0) or one element of a repeated one.
class Value {
public:
    Value(const Message& message, const FieldDescriptor& field, int index)
        : message_(message), field_(field), index_(index), reader_(*message.GetReflection()) {}

    std::string json() const {
        switch (field_.cpp_type()) {
            case FieldDescriptor::CPPTYPE_BOOL:
                return get(&Reader::GetBool, &Reader::GetRepeatedBool) ? "true" : "false";
            case FieldDescriptor::CPPTYPE_INT32:
                return std::to_string(get(&Reader::GetInt32, &Reader::GetRepeatedInt32));
            case FieldDescriptor::CPPTYPE_UINT32:
                return std::to_string(get(&Reader::GetUInt32, &Reader::GetRepeatedUInt32));
            case FieldDescriptor::CPPTYPE_UINT64:
                return std::to_string(get(&Reader::GetUInt64, &Reader::GetRepeatedUInt64));
            case FieldDescriptor::CPPTYPE_STRING:
                return quoted(get(&Reader::GetString, &Reader::GetRepeatedString));
            case FieldDescriptor::CPPTYPE_ENUM:
                return quoted(short_name(*get(&Reader::GetEnum, &Reader::GetRepeatedEnum)));
            case FieldDescriptor::CPPTYPE_MESSAGE:
                return message_value(index_ < 0
                                         ? reader_.GetMessage(message_, &field_)
                                         : reader_.GetRepeatedMessage(message_, &field_, index_));
            default:
                break;
        }
        PH_ASSERT(!"admin.proto uses a type that to_json() does not know");
        return {};
    }

private:
    using Reader = google::protobuf::Reflection;

    template <class T>
    T get(T (Reader::*one)(const Message&, const FieldDescriptor*) const,
          T (Reader::*element)(const Message&, const FieldDescriptor*, int) const) const {
        return index_ < 0 ? (reader_.*one)(message_, &field_)
                          : (reader_.*element)(message_, &field_, index_);
    }

    const Message& message_;
    const FieldDescriptor& field_;
    int index_;
    const Reader& reader_;
};

std::string field_value(const Message& message, const FieldDescriptor& field) {
    const auto& reader = *message.GetReflection();
    if (!field.is_repeated()) {
        if (field.has_presence() && !reader.HasField(message, &field)) return "null";
        return Value(message, field, -1).json();
    }
    std::string list = "[";
    const int size = reader.FieldSize(message, &field);
    for (int i = 0; i < size; ++i) {
        if (i > 0) list += ',';
        list += Value(message, field, i).json();
    }
    return list += ']';
}

}  // namespace

std::string to_json(const Message& message) {
    std::string object = "{";
    const auto& type = *message.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i) {
        const auto& field = *type.field(i);
        if (i > 0) object += ',';
        object += quoted(field.name()) + ':' + field_value(message, field);
    }
    return object += '}';
}

}  // namespace posthorse::admin
