// Everything that is wrong with a configuration, collected so that all of it is reported at once.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace sluice::config {

class Problems {
 public:
  // One line about the option `name`; a second one about the same option says nothing new and is dropped.
  void add(const std::string& name, std::string line);
  // The command line is wrong in itself: the exit code becomes that of usage.
  void add_usage(std::string line);

  bool empty() const noexcept { return lines_.empty(); }
  // Throws UsageError or ConfigError with all lines, if there are any.
  void throw_if_any() const;

 private:
  std::vector<std::string> lines_;
  std::set<std::string> names_;
  bool usage_ = false;
};

}  // namespace sluice::config
