#include "daemon/admin/queue_merge.h"

#include <algorithm>
#include <optional>
#include <string>

namespace posthorse::admin {
namespace {

// Where the part came that came least far; nullopt: all came to their end. Ids are all of one
// length, so that their texts compare as they do.
std::optional<std::string> least_far(const std::vector<v1::NodeListResponse>& pages) {
    std::optional<std::string> least;
    for (const auto& page : pages) {
        const auto& to = page.walked().to();
        if (!to.empty() && (!least || to < *least)) least = to;
    }
    return least;
}

std::vector<v1::Message*> in_order(std::vector<v1::NodeListResponse>& pages) {
    std::vector<v1::Message*> messages;
    for (auto& page : pages) {
        for (auto& message : *page.mutable_messages()) messages.push_back(&message);
    }
    std::ranges::sort(messages, {}, [](const auto* message) { return message->id(); });
    const auto twice = std::ranges::unique(messages, {}, [](const auto* m) { return m->id(); });
    messages.erase(twice.begin(), twice.end());
    return messages;
}

}  // namespace

v1::ListMessagesResponse merge_pages(std::vector<v1::NodeListResponse> pages,
                                     std::size_t messages_max,
                                     std::size_t bytes_max) {
    const auto end = least_far(pages);
    v1::ListMessagesResponse merged;
    std::size_t bytes = 0;
    for (auto* message : in_order(pages)) {
        if (end && message->id() > *end) break;
        const auto count = static_cast<std::size_t>(merged.messages_size());
        if (count == messages_max || bytes >= bytes_max) {
            merged.set_next_page_token(merged.messages(merged.messages_size() - 1).id());
            return merged;
        }
        bytes += message->ByteSizeLong();
        *merged.add_messages() = std::move(*message);
    }
    merged.set_next_page_token(end.value_or(""));
    return merged;
}

}  // namespace posthorse::admin
