#include "scenario.hpp"

#include "match.hpp"
#include "performance.hpp"

#include <algorithm>

namespace sluice::conformance {
namespace {

std::vector<Json> without(const std::vector<Json>& events, const Json& ignored) {
  std::vector<Json> rest;
  for (const Json& event : events) {
    if (std::find(ignored.begin(), ignored.end(), event["type"]) == ignored.end()) rest.push_back(event);
  }
  return rest;
}

std::string judge(const Json& scenario, const Performance& performance) {
  std::string findings;
  if (!performance.failure().empty()) findings += "  " + performance.failure() + "\n";
  const Json& error = performance.error();
  if (scenario.contains("error")) {
    const Json& expected = scenario["error"];
    if (error.is_null())
      findings += "  no error, expected " + expected.dump() + "\n";
    else if (!matches(expected, error))
      findings += "  error    " + error.dump() + "\n  expected " + expected.dump() + "\n";
  } else if (!error.is_null()) {
    findings += "  unexpected error " + error.dump() + "\n";
  }
  const auto expected = scenario.value("events", std::vector<Json>());
  const auto actual = without(performance.events(), scenario.value("ignore", Json::array()));
  const Comparison events = compare(expected, actual);
  return events.equal && findings.empty() ? std::string() : findings + events.lines;
}

}  // namespace

Report perform(const Json& scenario) {
  Report report;
  try {
    report.description = scenario.value("description", std::string());
    if (scenario.at("version") != 1)
      return {Outcome::skipped, report.description, "  version " + scenario["version"].dump() + " of the format is not known\n"};
    Performance performance(scenario);
    performance.run();
    report.details = judge(scenario, performance);
    report.outcome = report.details.empty() ? Outcome::passed : Outcome::failed;
  } catch (const std::exception& e) {
    report.details = std::string("  ") + e.what() + "\n";
  }
  return report;
}

}  // namespace sluice::conformance
