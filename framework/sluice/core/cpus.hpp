// How many CPUs this process may use: affinity mask and cgroup v1/v2 quota, at least 1.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace sluice {

// Reads a file's text; nothing if it does not exist. Injected for tests.
using FileReader = std::function<std::optional<std::string>(const std::string& path)>;
std::optional<std::string> read_file(const std::string& path);

int usable_cpus(int affinity_count, const FileReader& read);
int usable_cpus();

}  // namespace sluice
