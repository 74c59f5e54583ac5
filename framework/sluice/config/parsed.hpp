// The outcome of reading a text: a value, or one clause that says what is wrong and what to write instead.
#pragma once

#include <string>
#include <utility>

namespace sluice::config {

template <class T>
struct Parsed {
  T value{};
  std::string problem;  // empty: value is good

  Parsed(T v) : value(std::move(v)) {}  // NOLINT: implicit, so that parsers return values
  explicit operator bool() const noexcept { return problem.empty(); }

  static Parsed wrong(std::string why) {
    Parsed parsed{T{}};
    parsed.problem = std::move(why);
    return parsed;
  }
};

}  // namespace sluice::config
