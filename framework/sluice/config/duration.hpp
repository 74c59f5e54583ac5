// Durations as they are written in configuration: a number and a unit, "500ms", "30s", "10min", "1.5h", "1d".
// A bare number is refused, because "30" means seconds to one reader and milliseconds to another.
#pragma once

#include <sluice/config/parsed.hpp>
#include <sluice/core/clock.hpp>

#include <string>
#include <string_view>

namespace sluice::config {

// Up to 36500d; never negative.
Parsed<Duration> parse_duration(std::string_view text);

// The shortest exact form: 90s, 2min, 0s. parse_duration() reads it back to the same value.
std::string format_duration(Duration duration);

}  // namespace sluice::config
