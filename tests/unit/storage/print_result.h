// How doctest prints a Result: by its error, so that values need no operator<<.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "proto/types/result.h"

template <class T>
struct doctest::StringMaker<posthorse::Result<T>> {
    static String convert(const posthorse::Result<T>& result) {
        if (result) return "success";
        return (std::string(posthorse::to_string(result.error().code)) + ": " + result.error().what)
            .c_str();
    }
};
