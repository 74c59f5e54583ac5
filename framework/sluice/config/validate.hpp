// What the table cannot say about one option alone: rules between options, and known anti-patterns.
#pragma once

#include <sluice/config/loader.hpp>
#include <sluice/config/problems.hpp>

namespace sluice::config {

// REQUIRES: completed.
void validate(const Loaded& loaded, const Application& application, Problems& problems);

// Sentences with a remedy, for a configuration that is valid.
std::vector<std::string> advice(const Loaded& loaded);

}  // namespace sluice::config
