#include "options.hpp"

#include <sluice/config/duration.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>

#include <nlohmann/json.hpp>

namespace orders {
namespace {

using nlohmann::json;

json option(const sluice::config::Config& config, const char* name) {
  const json options = json::parse(config.app_json);
  const auto it = options.find(name);
  return it == options.end() ? json() : *it;
}

[[noreturn]] void wrong(const char* name, const json& value, const std::string& why) {
  throw sluice::ExitError(sluice::ExitCode::config, sluice::text("app.", name, ": ", value.dump(), " ", why));
}

}  // namespace

sluice::Duration duration_option(const sluice::config::Config& config, const char* name, sluice::Duration otherwise) {
  const json value = option(config, name);
  if (value.is_null()) return otherwise;
  const auto parsed = sluice::config::parse_duration(value.is_string() ? value.get<std::string>() : value.dump());
  if (!parsed) wrong(name, value, parsed.problem);
  return parsed.value;
}

std::uint32_t count_option(const sluice::config::Config& config, const char* name, std::uint32_t otherwise) {
  const json value = option(config, name);
  if (value.is_null()) return otherwise;
  if (!value.is_number_integer() || value < 1 || value > 1'000'000) wrong(name, value, "is not a number from 1 to 1000000");
  return value.get<std::uint32_t>();
}

std::string text_option(const sluice::config::Config& config, const char* name) {
  const json value = option(config, name);
  if (value.is_null()) return {};
  if (!value.is_string()) wrong(name, value, "is not a text");
  return value.get<std::string>();
}

std::string job_channel(const sluice::config::Config& config) {
  const std::string channel = text_option(config, "job_channel");
  if (channel.size() > 63) wrong("job_channel", channel, "is longer than the 63 bytes that PostgreSQL allows");
  return channel;
}

}  // namespace orders
