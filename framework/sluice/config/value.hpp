// One option's value between its text and its field of Config, and the way back to text.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/config/parsed.hpp>

#include <cstdint>
#include <string>
#include <variant>

namespace sluice::config {

struct Option;

// monostate: absent (auto, unbounded, …). Numbers that count are never negative. Enumerations travel as their names.
using Value = std::variant<std::monostate, bool, std::uint64_t, double, std::string, Duration, WorkerCounts>;

// A value as it was written. Flags, variables and ${…} are `words`: they may mean any type. Files know more.
struct Raw {
  enum class Form { words, string, number, boolean, null, list, object };
  Form form = Form::words;
  std::string text;  // of list and object: their JSON; object "{}" may also stand for an empty section
};

// Checks type, choices and range. The problem says what is wrong and what may be written; it never repeats the value.
Parsed<Value> parse_value(const Option& option, const Raw& raw);

// As a flag would take it; absent values as their word ("auto").
std::string format_value(const Option& option, const Value& value);

// What may be written: `a whole number from 1 to 1024`, `one of process, thread`.
std::string expectation(const Option& option);

}  // namespace sluice::config
