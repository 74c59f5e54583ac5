#include <sluice/admin/process_usage.hpp>

#include <sluice/core/descriptor.hpp>
#include <sluice/core/text.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <map>

namespace sluice::admin {

std::optional<ProcessUsage> parse_stat(std::string_view line, long ticks_per_second, long page_size) {
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  line.remove_prefix(name_end + 1);
  // Fields are numbered as in proc(5); the first one behind the name is 3.
  std::uint64_t user = 0, system = 0, pages = 0;
  int field = 2;
  while (!line.empty()) {
    const std::size_t begin = line.find_first_not_of(" \n");
    if (begin == std::string_view::npos) break;
    const std::size_t end = std::min(line.find_first_of(" \n", begin), line.size());
    const std::string_view word = line.substr(begin, end - begin);
    line.remove_prefix(end);
    std::uint64_t* target = nullptr;
    switch (++field) {
      case 14: target = &user; break;
      case 15: target = &system; break;
      case 24: target = &pages; break;
      default: continue;
    }
    if (std::from_chars(word.data(), word.data() + word.size(), *target).ec != std::errc{}) return std::nullopt;
    if (field == 24)
      return ProcessUsage{static_cast<double>(user + system) / static_cast<double>(ticks_per_second), pages * static_cast<std::uint64_t>(page_size)};
  }
  return std::nullopt;
}

std::optional<ProcessUsage> read_usage(std::int64_t pid, std::int64_t tid) {
  if (pid <= 0) return std::nullopt;
  const std::string path = tid > 0 ? text("/proc/", pid, "/task/", tid, "/stat") : text("/proc/", pid, "/stat");
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return std::nullopt;
  char buffer[1024];
  const ssize_t n = ::read(file.get(), buffer, sizeof buffer);
  if (n <= 0) return std::nullopt;
  return parse_stat({buffer, static_cast<std::size_t>(n)}, ::sysconf(_SC_CLK_TCK), ::sysconf(_SC_PAGESIZE));
}

std::vector<std::optional<ProcessUsage>> usage_by_slot(const shm::Segment& segment, const UsageReader& read) {
  const auto slots = segment.slots();
  std::map<std::uint64_t, int> slots_of_process;
  for (const shm::Slot& slot : slots) {
    if (slot.pid.get() != 0) ++slots_of_process[slot.pid.get()];
  }
  std::vector<std::optional<ProcessUsage>> out(slots.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const std::uint64_t pid = slots[i].pid.get();
    if (pid == 0) continue;
    const bool shared = slots_of_process[pid] > 1;
    if (shared && slots[i].alive_generation.get() != slots[i].generation.get()) continue;  // its thread is not known yet
    out[i] = read(static_cast<std::int64_t>(pid), shared ? slots[i].tid.get_signed() : 0);
  }
  return out;
}

}  // namespace sluice::admin
