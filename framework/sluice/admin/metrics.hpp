// The Prometheus page. Labelled by slot, never by pid: a series outlives the processes that feed it. Counters of a slot
// that was ever used stay on the page, so that sums never go back; gauges are there while the slot is in use.
#pragma once

#include <sluice/admin/process_usage.hpp>
#include <sluice/shm/segment.hpp>

#include <cstdint>
#include <string>

namespace sluice::admin {

inline constexpr const char* metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

std::string metrics(const shm::Segment& segment, std::int64_t now, const UsageReader& usage);

}  // namespace sluice::admin
