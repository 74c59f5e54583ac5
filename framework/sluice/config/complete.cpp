#include <sluice/config/apply.hpp>
#include <sluice/config/complete.hpp>
#include <sluice/config/endpoint.hpp>
#include <sluice/config/table.hpp>
#include <sluice/core/text.hpp>

#include <limits.h>
#include <unistd.h>
#include <algorithm>
#include <array>

namespace sluice::config {
namespace {

constexpr std::size_t longest_instance = 40;

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

void complete_names(Loaded& loaded, const Application& application) {
  Config& config = loaded.config;
  if (config.name.empty()) {
    config.name = application.executable.substr(application.executable.rfind('/') + 1);
    if (config.name.empty()) config.name = "sluice";
    config.name.resize(std::min<std::size_t>(config.name.size(), 63));
    loaded.origin["name"] = "default (the executable's file name)";
  }
  if (config.instance.empty()) {
    config.instance = fitting_instance(text(config.name, "@", host_name()));
    loaded.origin["instance"] = "default (name and host name)";
  }
}

// The server of a pool that names none: that of the pools that reach the same endpoint. Among those, a server that was named
// or configured wins over the first pool's name, so that its budget is not passed by.
std::string shared_server(const Config& config, const Endpoint& endpoint) {
  std::vector<std::string> pools;
  for (const auto& [name, pool] : config.pools) {
    if (endpoint_of(pool.url) != endpoint) continue;
    if (!pool.server.empty()) return pool.server;
    pools.push_back(name);
  }
  const auto configured = std::find_if(pools.begin(), pools.end(), [&](const std::string& name) { return config.servers.contains(name); });
  return configured != pools.end() ? *configured : pools.front();
}

void complete_servers(Loaded& loaded) {
  Config& config = loaded.config;
  std::map<std::string, std::string> derived;
  for (const auto& [name, pool] : config.pools) {
    if (!pool.server.empty()) continue;
    const auto endpoint = endpoint_of(pool.url);
    derived[name] = endpoint ? shared_server(config, *endpoint) : name;
  }
  for (const auto& [name, server] : derived) {
    config.pools[name].server = server;
    loaded.origin[text("pools.", name, ".server")] = server == name ? "default" : "default (same scheme, host and port)";
  }
  for (const auto& [name, pool] : config.pools) config.servers[pool.server].name = pool.server;
}

void complete_totals(Loaded& loaded) {
  Config& config = loaded.config;
  for (const auto& [name, pool] : config.pools) {
    Server& server = config.servers[pool.server];
    const auto endpoint = endpoint_of(pool.url);
    if (server.total || !endpoint || !endpoint->is_sqlite()) continue;
    server.total = 4 * config.max_workers;
    loaded.origin[text("servers.", server.name, ".total")] = "default (4 × max_workers)";
    if (server.capacity < *server.total) {
      server.capacity = *server.total;
      loaded.origin[text("servers.", server.name, ".capacity")] = "default (raised to total)";
    }
  }
  for (auto& [name, server] : config.servers) {
    const std::string capacity = text("servers.", name, ".capacity");
    if (!server.total || server.capacity >= *server.total || loaded.origin.contains(capacity)) continue;
    server.capacity = *server.total;
    loaded.origin[capacity] = "default (raised to total)";
  }
}

}  // namespace

std::string fitting_instance(const std::string& wanted) {
  std::string id = wanted;
  for (char& c : id) {
    if (!is_key(std::string_view(&c, 1)) && c != '.' && c != '@') c = '-';
  }
  if (id.size() <= longest_instance) return id;
  // Two hosts whose names differ only behind the cut must not take each other's sessions for their own (FNV-1a, 32 bits).
  std::uint32_t hash = 2166136261U;
  for (const char c : wanted) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  std::string digits;
  for (int shift = 28; shift >= 0; shift -= 4) digits += "0123456789abcdef"[(hash >> shift) & 15U];
  return text(id.substr(0, longest_instance - 9), "-", digits);
}

void complete(Loaded& loaded, const Application& application) {
  complete_names(loaded, application);
  complete_servers(loaded);
  apply_preset(loaded);
  complete_totals(loaded);
  for (const Option& option : options()) {
    for (const std::string& key : keys_of(option, loaded.config)) loaded.origin.try_emplace(filled(option.name, key), "default");
  }
}

}  // namespace sluice::config
