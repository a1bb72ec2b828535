// What an operation of the queue writes: operations in, key-value writes out. Pure.
//
// Place     Between storage/queue_store.h and storage/key_value.h.
// Contract  Blind: nothing is read. The same operation gives the same writes, so an owner and its
//           holders end with the same records, and a second application changes nothing.
//           Operations that look at the disk first are in copy_batch.h.
//           Writes are in order: where a key is named twice, the later one counts.
#pragma once

#include <cstdint>
#include <vector>

#include "storage/key_value.h"
#include "storage/message_counts.h"
#include "storage/queue_record.h"
#include "storage/queue_store.h"

namespace posthorse::storage {

// Not of Restore and Forget.
void append_writes(const Operation& operation, std::vector<Write>& out);
// What a settlement writes beside the message's own record.
void append_consequences(const Settle& settle, std::vector<Write>& out);
void append_mark(PartitionId partition, const PartitionMark& mark, std::vector<Write>& out);

MailAmount amount_of(const Envelope& envelope);
// How much mail there is more, when all is as its owner thinks.
MailAmount mail_gained(const Operation& operation);
// Must be on disk before its completion (queue_store.h, Durable).
bool is_durable(const Operation& operation);
// Is durable, and may wait for somebody else's sync.
bool is_patient(const Operation& operation);
// Makes the queue larger: refused below the disk floor.
bool grows(const Operation& operation);
// Whether it is in the order of its partition, or outside, as it ought to be.
bool has_its_place(const Operation& operation);
// Bytes that it brings, about.
std::size_t size_of(const Operation& operation);

}  // namespace posthorse::storage
