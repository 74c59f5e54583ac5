// ${NAME} and ${NAME:-fallback} in the texts of configuration files; $${ stands for a literal ${.
#pragma once

#include <sluice/config/loader.hpp>
#include <sluice/config/parsed.hpp>

#include <string>

namespace sluice::config {

// As in a shell, the fallback also replaces an empty variable; without a fallback an unset variable is a problem.
Parsed<std::string> expand_variables(const std::string& text, const Environment& environment);

}  // namespace sluice::config
