// Lays assignments over a Config: the strongest source of an option wins, but every source is checked.
#pragma once

#include <sluice/config/assignment.hpp>
#include <sluice/config/loader.hpp>
#include <sluice/config/problems.hpp>

#include <vector>

namespace sluice::config {

// REQUIRES: strongest layer first. Sets values and their origins; reads <option>_file.
void apply(const std::vector<Assignment>& assignments, Loaded& loaded, Problems& problems);

// Options that nothing has set take the value of the chosen preset, in every pool and server.
void apply_preset(Loaded& loaded);

// Builds app_json from the assignments of app.*: weaker layers first, a stronger one replaces what it names.
void apply_app(const std::vector<Assignment>& assignments, Loaded& loaded);

// The application's options one by one, fit to be shown: dotted name → JSON text, in order of name. What sounds secret is
// hidden at any depth, and passwords in urls.
std::vector<std::pair<std::string, std::string>> shown_app_options(const std::string& app_json);

}  // namespace sluice::config
