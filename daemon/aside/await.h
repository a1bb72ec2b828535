// A call with a completion, waited for.
//
// Owner     The worker of aside.h: it blocks until the completion runs, on another thread.
#pragma once

#include <future>
#include <memory>
#include <utility>

#include "proto/types/result.h"

namespace posthorse::aside {

// `begin` is given the completion.
template <class T, class Begin>
Result<T> await(Begin begin) {
    const auto ended = std::make_shared<std::promise<Result<T>>>();
    begin(Completion<T>([ended](Result<T> result) { ended->set_value(std::move(result)); }));
    return ended->get_future().get();
}

}  // namespace posthorse::aside
