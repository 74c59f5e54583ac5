#include <sluice/core/cpus.hpp>

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace sluice {
namespace {

// quota / period of one cgroup, rounded up; nothing if unlimited.
std::optional<int> v2_quota(const FileReader& read, const std::string& directory) {
  const auto text = read(directory + "/cpu.max");
  if (!text) return std::nullopt;
  std::istringstream in(*text);
  std::string quota;
  double period = 0;
  in >> quota >> period;
  if (quota == "max" || period <= 0) return std::nullopt;
  return std::max(1, static_cast<int>(std::ceil(std::atof(quota.c_str()) / period)));
}

std::optional<int> v1_quota(const FileReader& read, const std::string& directory) {
  const auto quota = read(directory + "/cpu.cfs_quota_us");
  const auto period = read(directory + "/cpu.cfs_period_us");
  if (!quota || !period) return std::nullopt;
  const double q = std::atof(quota->c_str()), p = std::atof(period->c_str());
  if (q <= 0 || p <= 0) return std::nullopt;
  return std::max(1, static_cast<int>(std::ceil(q / p)));
}

}  // namespace

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream in(path);
  if (!in) return std::nullopt;
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

int usable_cpus(int affinity_count, const FileReader& read) {
  int cpus = std::max(1, affinity_count);
  const auto memberships = read("/proc/self/cgroup");
  std::istringstream lines(memberships.value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    const bool v2 = controllers.empty();
    if (!v2 && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    // A quota on any ancestor binds too; inside a container the path may lie outside of what is mounted, the root still counts.
    for (;;) {
      const std::string directory = root + (path == "/" ? "" : path);
      const auto quota = v2 ? v2_quota(read, directory) : v1_quota(read, directory);
      if (quota) cpus = std::min(cpus, *quota);
      if (path.empty() || path == "/") break;
      path.resize(path.find_last_of('/'));
    }
  }
  return cpus;
}

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int count = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return usable_cpus(count, read_file);
}

}  // namespace sluice
