#include <sluice/config/loader.hpp>
#include <sluice/config/problems.hpp>

namespace sluice::config {

void Problems::add(const std::string& name, std::string line) {
  if (!name.empty() && !names_.insert(name).second) return;
  lines_.push_back(std::move(line));
}

void Problems::add_usage(std::string line) {
  usage_ = true;
  lines_.push_back(std::move(line));
}

void Problems::throw_if_any() const {
  if (lines_.empty()) return;
  std::string all;
  for (const std::string& line : lines_) {
    if (!all.empty()) all += '\n';
    all += line;
  }
  if (usage_) throw UsageError(all);
  throw ConfigError(all);
}

}  // namespace sluice::config
