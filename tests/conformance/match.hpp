// How expected values are compared with actual ones in scenarios of the connection-monitoring-and-pooling format.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sluice::conformance {

using Json = nlohmann::json;

// 42 and "42" stand for any value that is there; objects match if they contain what is expected, arrays by index, everything
// else if it is equal.
bool matches(const Json& expected, const Json& actual);

struct Comparison {
  bool equal = true;  // each expected event is matched by the actual one at its place; further actual ones are allowed
  std::string lines;  // one line for each event, with marks where they differ
};
Comparison compare(const std::vector<Json>& expected, const std::vector<Json>& actual);

}  // namespace sluice::conformance
