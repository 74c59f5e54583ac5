// One option set by one source, before the sources are laid over each other.
#pragma once

#include <sluice/config/table.hpp>

#include <string>
#include <vector>

namespace sluice::config {

// Strongest first.
enum class Layer { flag, environment, file, database_url, application };

struct Assignment {
  Match match;
  Raw raw;
  std::string origin;  // "flag --http.listen", "file orders.json:12", …
  Layer layer = Layer::flag;
};

}  // namespace sluice::config
