// A complete Config on its way to a process that is executed anew: a sealed anonymous memory file, so that secrets appear neither on a
// command line nor in an environment nor on a disk. Lossless; understood by the same executable only.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/core/descriptor.hpp>

#include <string>
#include <string_view>

namespace sluice::config {

std::string pack(const Config& config);
// Throws Error if the bytes are not what pack() of this program made.
Config unpack(std::string_view packed);

// The file cannot be changed any more. Close-on-exec, as every descriptor made here. Throws std::system_error.
Descriptor to_memory(const Config& config);
Config from_memory(int file);

}  // namespace sluice::config
