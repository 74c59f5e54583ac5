// What a process or one of its threads has used, from procfs. Injected into the renderers as a function so that they
// stay free of I/O.
#pragma once

#include <sluice/shm/segment.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace sluice::admin {

struct ProcessUsage {
  double cpu_seconds = 0;       // user and system, of the thread if one was asked for
  std::uint64_t rss_bytes = 0;  // of the whole process
};

// tid 0: the whole process. Nothing if there is no such process (any more).
using UsageReader = std::function<std::optional<ProcessUsage>(std::int64_t pid, std::int64_t tid)>;

// The real reader: /proc/<pid>/stat or /proc/<pid>/task/<tid>/stat.
std::optional<ProcessUsage> read_usage(std::int64_t pid, std::int64_t tid);

// Parses a stat line of procfs (proc(5)). The command name may hold anything, also ") R 1".
std::optional<ProcessUsage> parse_stat(std::string_view line, long ticks_per_second, long page_size);

// Usage of each slot's worker, by slot: of its process, or of its thread where several slots live in one process.
std::vector<std::optional<ProcessUsage>> usage_by_slot(const shm::Segment& segment, const UsageReader& read);

}  // namespace sluice::admin
