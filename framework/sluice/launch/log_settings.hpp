// From the configuration to the log's own words.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/core/log.hpp>

namespace sluice::launching {

inline log::Settings log_settings(const config::Log& options) {
  log::Settings settings;
  if (options.level == "debug") settings.level = log::Level::debug;
  if (options.level == "warning") settings.level = log::Level::warning;
  if (options.level == "error") settings.level = log::Level::error;
  if (options.level == "off") settings.level = log::Level::off;
  settings.json = options.format == "json";
  settings.file = options.file;
  return settings;
}

}  // namespace sluice::launching
