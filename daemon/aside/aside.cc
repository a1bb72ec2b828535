#include "daemon/aside/aside.h"

#include <utility>

#include "daemon/aside/await.h"

namespace posthorse::aside {

// The worker waits while home works.
class Aside::HomeDoor final : public Door {
public:
    HomeDoor(Executor& home, QueuePorts queue) : home_(home), queue_(std::move(queue)) {}

    Result<QueueId> begin(std::uint64_t size_bytes) override {
        return wait<QueueId>([this, size_bytes](Completion<QueueId> done) {
            queue_.begin(size_bytes, std::move(done));
        });
    }
    Result<void> append(QueueId id, std::uint32_t index, Chunk bytes) override {
        return wait<void>([this, id, index, bytes = std::move(bytes)](Completion<> done) {
            queue_.append(id, index, bytes, std::move(done));
        });
    }
    Result<void> commit(Envelope envelope, Chunk head) override {
        return wait<void>([this, envelope = std::move(envelope),
                           head = std::move(head)](Completion<> done) mutable {
            queue_.commit(std::move(envelope), std::move(head), std::move(done));
        });
    }
    void abort(QueueId id) override {
        home_.post([this, id] { queue_.abort(id); });
    }

private:
    template <class T, class Call>
    Result<T> wait(Call call) {
        return await<T>([&](Completion<T> done) {
            home_.post([call = std::move(call), done = std::move(done)]() mutable {
                call(std::move(done));
            });
        });
    }

    Executor& home_;
    const QueuePorts queue_;
};

Aside::Aside(
    AsideCopies::Settings settings, Executor& home, const Clock& clock, QueuePorts queue, Left left)
    : home_(home),
      left_(std::move(left)),
      door_(std::make_shared<HomeDoor>(home, std::move(queue))),
      copies_(std::move(settings), clock, *door_) {}

template <class T, class Work>
void Aside::ask(Work work, Completion<T> done) {
    worker_.post([this, work = std::move(work), done = std::move(done)]() mutable {
        home_.post([result = Result<T>(work()), done = std::move(done)]() mutable {
            done(std::move(result));
        });
    });
}

void Aside::tell(std::vector<std::string> directories) {
    home_.post([this, directories = std::move(directories)]() mutable {
        if (left_) left_(std::move(directories));
    });
}

void Aside::list(std::string only, Place from, std::size_t limit, Completion<Page> done) {
    ask<Page>(
        [this, only = std::move(only), from = std::move(from), limit] {
            if (from == Place{}) tell(copies_.directories());
            return copies_.list(only, from, limit);
        },
        std::move(done));
}

void Aside::find(std::string only, std::vector<QueueId> ids, Completion<std::vector<Found>> done) {
    ask<std::vector<Found>>(
        [this, only = std::move(only), ids = std::move(ids)] { return copies_.find(only, ids); },
        std::move(done));
}

void Aside::act(Order order, Completion<std::vector<Done>> done) {
    ask<std::vector<Done>>([this, order = std::move(order)] { return copies_.act(order); },
                           std::move(done));
}

void Aside::tidy(Completion<> done) {
    ask<void>(
        [this]() -> Result<void> {
            tell(copies_.tidy());
            return {};
        },
        std::move(done));
}

}  // namespace posthorse::aside
