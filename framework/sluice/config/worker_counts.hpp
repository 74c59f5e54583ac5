// `--workers`: "4", "auto" (also "all" and -1), counts by kind, "web=4,jobs=2", or
// "default": as many of each kind as the application itself asks for.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/config/parsed.hpp>

#include <string>
#include <string_view>

namespace sluice::config {

// A plain count is at least 1; a kind may have 0 workers. Whether the kinds exist is validation's question.
Parsed<WorkerCounts> parse_workers(std::string_view text);

std::string format_workers(const WorkerCounts& counts);

}  // namespace sluice::config
