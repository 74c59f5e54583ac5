// `app ctl …` and `sluicectl …`: finds the instance's control socket, asks, prints. Output to stdout, messages to stderr.
#pragma once

#include <string>
#include <vector>

namespace sluice::admin {

// `application`: name whose one running instance is looked for when --control is not given ("" in sluicectl: any).
// `arguments` without "ctl". Returns the exit code (sysexits).
int ctl(const std::string& application, const std::vector<std::string>& arguments);

}  // namespace sluice::admin
