// The settings of a foreign configuration, row by row, as options of ours under their pools: the first half of a translation.
#pragma once

#include <sluice/config/translate.hpp>
#include <sluice/config/translate_url.hpp>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config {

struct Collected {
  // What one of our options is set to.
  struct Slot {
    std::string value;
    std::string theirs;
    std::string remark;
    int line = 0;
    bool summed = false;
    bool fixed = false;  // a special value that stands for the whole sum
  };
  std::map<std::string, Slot> values;    // by our name, with the pools' names of the source
  std::map<std::string, UrlParts> urls;  // by pool
  std::vector<Remark> remarks;
  std::vector<std::string> problems;
};

// Throws ConfigError if the file is malformed or holds nothing of this ecosystem.
Collected collect(const Ecosystem& from, const std::string& content, const std::string& file);

// "${NAME}" in a value: its text is known when the configuration is loaded.
inline bool is_variable(std::string_view value) { return value.find("${") != std::string_view::npos; }

}  // namespace sluice::config
