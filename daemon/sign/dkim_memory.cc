#include "daemon/sign/dkim_memory.h"

#include <cstdint>
#include <cstdlib>

namespace posthorse::sign {
namespace {

// libopendkim writes one null pointer past its table of signed fields when a signature names more
// fields than the message has (dkim_canon_selecthdrs): a stranger's message can make it do so.
constexpr std::size_t slack_bytes = sizeof(void*);

}  // namespace

DkimMemory::~DkimMemory() {
    while (first_ != nullptr) {
        auto* next = first_->next;
        std::free(first_);
        first_ = next;
    }
}

void* DkimMemory::allocate(void* closure, std::size_t bytes) {
    if (closure == nullptr) return std::malloc(bytes);
    auto& memory = *static_cast<DkimMemory*>(closure);
    if (bytes > SIZE_MAX - sizeof(Piece) - slack_bytes) return nullptr;
    auto* piece = static_cast<Piece*>(std::malloc(sizeof(Piece) + bytes + slack_bytes));
    if (piece == nullptr) return nullptr;
    *piece = {nullptr, memory.first_};
    if (memory.first_ != nullptr) memory.first_->previous = piece;
    memory.first_ = piece;
    return piece + 1;
}

void DkimMemory::release(void* closure, void* pointer) {
    if (closure == nullptr || pointer == nullptr) return std::free(pointer);
    auto& memory = *static_cast<DkimMemory*>(closure);
    auto* piece = static_cast<Piece*>(pointer) - 1;
    (piece->previous != nullptr ? piece->previous->next : memory.first_) = piece->next;
    if (piece->next != nullptr) piece->next->previous = piece->previous;
    std::free(piece);
}

}  // namespace posthorse::sign
