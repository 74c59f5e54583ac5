// One scenario of the connection-monitoring-and-pooling format, performed on a real pool with a server that is a mock.
#pragma once

#include "match.hpp"

#include <string>
#include <vector>

namespace sluice::conformance {

enum class Outcome { passed, failed, skipped };

struct Report {
  Outcome outcome = Outcome::failed;
  std::string description;  // the scenario's own
  std::string details;      // why, in lines; "" if it passed
};

// Takes as long as the scenario waits, at most a minute. A document that is no scenario fails; one of an unknown version is skipped.
Report perform(const Json& scenario);

}  // namespace sluice::conformance
