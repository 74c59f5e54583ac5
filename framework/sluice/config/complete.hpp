// Fills in what follows from the rest: names, every pool's server, SQLite's totals, and the origin of every default.
#pragma once

#include <sluice/config/loader.hpp>

namespace sluice::config {

void complete(Loaded& loaded, const Application& application);

// `text` cut to at most 40 bytes of [A-Za-z0-9_.@-]; what was cut is represented by a hash, so that long names stay different.
std::string fitting_instance(const std::string& text);

}  // namespace sluice::config
