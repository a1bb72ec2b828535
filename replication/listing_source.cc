#include "replication/listing_source.h"

#include <algorithm>

#include "storage/queue_record.h"

namespace posthorse::replication {
namespace {

constexpr std::size_t page_messages = 1000;

}  // namespace

ListingSource::ListingSource(Slice slice, Ports ports) : slice_(slice), ports_(std::move(ports)) {}

// A completion of the store for this step; what comes after the end is dropped.
template <class Call>
auto ListingSource::here(Call call) {
    busy_ = true;
    return [weak = weak_from_this(), call = std::move(call)](auto&&... args) mutable {
        const auto self = weak.lock();
        if (!self || self->ended_) return;
        self->busy_ = false;
        call(std::forward<decltype(args)>(args)...);
    };
}

void ListingSource::when_written(UniqueFunction<void()> then) {
    ports_.store.probe(here([this, then = std::move(then)](Result<void> written) mutable {
        if (!written) return fail(written.error());
        then();
    }));
}

void ListingSource::list() {
    listing_ = true;
    next_ = Next::page;
    when_written([this] { go_on(); });
}

void ListingSource::fetch(std::vector<QueueId> ids) {
    fetched_later_.insert(fetched_later_.end(), ids.begin(), ids.end());
    if (next_ == Next::nothing && !busy_) fetch_next();
}

void ListingSource::fetch_next() {
    wanted_ = std::exchange(fetched_later_, {});
    next_ = Next::records;
    when_written([this] { go_on(); });
}

void ListingSource::on(const Want& want) {
    if (!listing_ || next_ != Next::nothing || busy_) return;  // of no page of ours
    wanted_.assign(want.ids.begin(), want.ids.end());
    next_ = Next::records;
    if (wanted_.empty()) return go_on();
    when_written([this] { go_on(); });
}

bool ListingSource::may_go_on() {
    return !ended_ && !busy_ && ports_.room() && ports_.pace.open();
}

void ListingSource::go_on() {
    if (!may_go_on()) return;
    switch (next_) {
        case Next::nothing:
            return;
        case Next::page:
            return next_page();
        case Next::records:
            return record_ ? next_chunk() : next_record();
        case Next::end:
            return finish();
    }
}

// What the list cannot read it has set aside, by a write of its own: damage is looked for behind
// that.
void ListingSource::next_page() {
    const auto looked = [this](Result<std::vector<Envelope>> found) {
        if (!found) return fail(found.error());
        when_written([this, found = *std::move(found)]() mutable {
            ports_.store.damaged(
                slice_.partition,
                here([this, found = std::move(found)](Result<std::vector<QueueId>> damaged) {
                    if (!damaged) return fail(damaged.error());
                    paged(found, *damaged);
                }));
        });
    };
    ports_.store.list(slice_.partition, after_, page_messages, here(looked));
}

void ListingSource::paged(const std::vector<Envelope>& found, const std::vector<QueueId>& damaged) {
    Page page{.slice = slice_, .after = after_, .last = found.size() < page_messages};
    for (const auto& envelope : found)
        page.entries.push_back({envelope.id, storage::digest(envelope)});
    if (!found.empty()) page.upto = after_ = found.back().id;
    for (const auto id : damaged) {
        if (id > page.after && (page.last || id <= page.upto)) page.unreadable.push_back(id);
    }
    last_page_ = page.last;
    next_ = Next::nothing;  // until Want comes
    send(std::move(page));
}

void ListingSource::next_record() {
    if (wanted_.empty() && !fetched_later_.empty()) return fetch_next();
    if (wanted_.empty()) {
        next_ = !listing_ ? Next::nothing : last_page_ ? Next::end : Next::page;
        return go_on();
    }
    const auto id = wanted_.front();
    ports_.store.envelope(id, here([this](Result<Envelope> found) {
                              if (!found) return skip_record();
                              record_ = *std::move(found);
                              chunk_ = 0;
                              go_on();
                          }));
}

// Chunks 1 and up, then the head with the envelope.
void ListingSource::next_chunk() {
    const bool body = chunk_ < record_->chunk_count;
    const std::uint32_t index = body ? chunk_ + 1 : 0;
    ports_.store.chunk(record_->id, index, here([this, index](Result<Chunk> bytes) {
                           if (!bytes) return skip_record();
                           if (index == 0) return send_record(*std::move(bytes));
                           chunk_ = index;
                           ports_.pace.took((*bytes)->size());
                           send(Body{slice_, record_->id, index, *std::move(bytes)});
                           go_on();
                       }));
}

// It left, or cannot be read: the target has what it has.
void ListingSource::skip_record() {
    record_.reset();
    send(Gone{slice_, wanted_.front()});
    wanted_.pop_front();
    go_on();
}

void ListingSource::send_record(Chunk head) {
    ports_.pace.took(head->size());
    send(Record{slice_, *std::exchange(record_, std::nullopt), std::move(head)});
    wanted_.pop_front();
    sent_messages_ += 1;
    go_on();
}

void ListingSource::finish() {
    ports_.store.intents(slice_.partition, here([this](Result<std::vector<Intent>> intents) {
                             if (!intents) return fail(intents.error());
                             next_ = Next::nothing;
                             send(ListEnd{slice_, *std::move(intents)});
                         }));
}

void ListingSource::fail(const Error& error) {
    ended_ = true;
    ports_.failed(error);
}

void ListingSource::send(Frame frame) {
    ports_.send(std::move(frame));
}

}  // namespace posthorse::replication
