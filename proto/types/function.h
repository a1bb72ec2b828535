// A callable that is moved, called once or often, and may own things that cannot be copied.
// (std::move_only_function is C++23.)
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "proto/types/assert.h"

namespace posthorse {

template <class Signature>
class UniqueFunction;

template <class R, class... Args>
class UniqueFunction<R(Args...)> {
public:
    UniqueFunction() = default;
    template <class F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, UniqueFunction> &&
                 std::is_invocable_r_v<R, F&, Args...>)
    UniqueFunction(F&& callable)  // NOLINT(google-explicit-constructor): as std::function
        : target_(std::make_unique<Model<std::decay_t<F>>>(std::forward<F>(callable))) {}

    explicit operator bool() const noexcept { return target_ != nullptr; }

    R operator()(Args... args) {
        PH_ASSERT(target_ != nullptr);
        return target_->call(std::forward<Args>(args)...);
    }

private:
    struct Concept {
        virtual ~Concept() = default;
        virtual R call(Args... args) = 0;
    };
    template <class F>
    struct Model final : Concept {
        explicit Model(F&& f) : callable(std::move(f)) {}
        explicit Model(const F& f) : callable(f) {}
        R call(Args... args) override { return callable(std::forward<Args>(args)...); }
        F callable;
    };
    std::unique_ptr<Concept> target_;
};

}  // namespace posthorse
