// Sizes in bytes as they are written in configuration: "64KiB", "1MiB", "2GiB", or a plain number of bytes.
#pragma once

#include <sluice/config/parsed.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::config {

Parsed<std::uint64_t> parse_bytes(std::string_view text);

// The shortest exact form: 1MiB, 1000. parse_bytes() reads it back to the same value.
std::string format_bytes(std::uint64_t bytes);

}  // namespace sluice::config
