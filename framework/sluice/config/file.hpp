#pragma once

#include <sluice/config/parsed.hpp>

#include <string>

namespace sluice::config {

// The whole content of a file, or why it cannot be read ("No such file or directory"). Pipes work too.
Parsed<std::string> read_file(const std::string& path);

}  // namespace sluice::config
