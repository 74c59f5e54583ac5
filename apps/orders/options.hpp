// The application's own options (app.*). A wrong one is ExitError(config), which stops the instance with the reason.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/core/clock.hpp>

#include <cstdint>
#include <string>

namespace orders {

sluice::Duration duration_option(const sluice::config::Config& config, const char* name, sluice::Duration otherwise);
// From 1 to a million.
std::uint32_t count_option(const sluice::config::Config& config, const char* name, std::uint32_t otherwise);
std::string text_option(const sluice::config::Config& config, const char* name);  // "": not set
// app.job_channel, which web notifies of each placed order and jobs listens to. "": neither.
std::string job_channel(const sluice::config::Config& config);

}  // namespace orders
