// A value that a reload replaces while others use it: they keep the one that they took.
//
// Contract  Any thread. get() may be null before the first set().
#pragma once

#include <memory>
#include <mutex>

namespace posthorse::runtime {

template <class T>
class Reloadable {
public:
    std::shared_ptr<T> get() const {
        const std::lock_guard lock(mutex_);
        return value_;
    }
    void set(std::shared_ptr<T> value) {
        const std::lock_guard lock(mutex_);
        value_ = std::move(value);
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<T> value_;
};

}  // namespace posthorse::runtime
