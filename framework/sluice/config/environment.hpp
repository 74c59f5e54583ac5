// Options from environment variables: APP_WORKERS, APP_POOLS__MAIN__MAX. Two underscores separate segments, one belongs to a
// name; case is ignored.
#pragma once

#include <sluice/config/assignment.hpp>
#include <sluice/config/loader.hpp>
#include <sluice/config/problems.hpp>

#include <set>

namespace sluice::config {

struct FromEnvironment {
  std::vector<Assignment> assignments;
  std::vector<std::string> warnings;
};

// `known` are the names that flags and the file set: they decide how the key of a pool is spelled ("Main", "my-pool").
// A variable with the prefix that is nearly an option is a problem; one that could be anybody's, a warning. Empty
// variables count as not set.
FromEnvironment read_environment(const std::string& prefix, const Environment& environment, const std::set<std::string>& known, Problems& problems);

// The file that <PREFIX>CONFIG names, or "".
std::string config_file_from(const std::string& prefix, const Environment& environment);

// The variable that sets the option: APP_POOLS__MAIN__MAX.
std::string variable_of(const std::string& prefix, std::string_view name);

}  // namespace sluice::config
