// Settings that are allowed and still most likely a mistake.
#include <sluice/config/endpoint.hpp>
#include <sluice/config/validate.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>

namespace sluice::config {
namespace {

bool given(const Loaded& loaded, const std::string& name) {
  const auto origin = loaded.origin.find(name);
  return origin != loaded.origin.end() && !origin->second.starts_with("default") && !origin->second.starts_with("preset");
}

void advise_pool(const std::string& name, const Pool& pool, std::vector<std::string>& out) {
  const std::string at = text("pools.", name, ".");
  if (pool.max && *pool.max == 1) out.push_back(text(at, "max is 1: callers queue behind a single connection; leave it out to use the whole limit."));
  if (pool.max && *pool.max > 100) {
    out.push_back(
        text(at, "max is ", *pool.max, ": so many connections per worker slow a database down; leave it out, or measure with fewer than 100."));
  }
  if (pool.queue_limit == 0u && pool.min_idle == 0)
    out.push_back(text(at, "queue_limit is 0: callers beyond the connections that the worker can have get an error, and after a quiet time the first "
                           "ones wait for a connect; set min_idle to what a burst needs, or allow a short queue."));
  if (pool.acquire_timeout == 0s)
    out.push_back(text(at, "acquire_timeout is 0s: callers wait without end when connections run out; set one, such as \"5s\"."));
  if (pool.statement_timeout == 0s)
    out.push_back(text(at, "statement_timeout is 0s: a stuck statement holds its connection without end; set one, such as \"30s\"."));
  if (pool.soft_idle_timeout > 0s && pool.idle_timeout > 0s && pool.soft_idle_timeout >= pool.idle_timeout) {
    out.push_back(text(at, "soft_idle_timeout is not shorter than idle_timeout, so it never acts; shorten it or leave it out."));
  }
}

void advise_server(const Loaded& loaded, const std::string& name, const Server& server, std::vector<std::string>& out) {
  const std::string at = text("servers.", name, ".");
  const auto& pools = loaded.config.pools;
  std::vector<std::string_view> used;
  for (const auto& [pool_name, pool] : pools) used.push_back(pool.server);
  if (std::find(used.begin(), used.end(), name) == used.end()) {
    const std::string_view near = closest(name, used.data(), used.data() + used.size());
    out.push_back(text("servers.", name, " is used by no pool, so its settings do nothing; ",
                       near.empty() ? "name it in a pool's server." : text("did you mean servers.", near, "?")));
    return;
  }
  if (server.total && given(loaded, at + "total") && given(loaded, at + "headroom")) {
    out.push_back(text(at, "headroom does nothing because ", at, "total is a number; leave one of them out."));
  }
}

// Two budgets for one endpoint add up, which is what a hard budget is to prevent.
void advise_split(const Config& config, std::vector<std::string>& out) {
  for (auto first = config.pools.begin(); first != config.pools.end(); ++first) {
    for (auto second = std::next(first); second != config.pools.end(); ++second) {
      if (first->second.server == second->second.server) continue;
      if (endpoint_of(first->second.url) != endpoint_of(second->second.url)) continue;
      out.push_back(text("The pools ", first->first, " and ", second->first,
                         " reach the same endpoint through two servers, so their budgets add up there; give them one server."));
    }
  }
}

}  // namespace

std::vector<std::string> advice(const Loaded& loaded) {
  std::vector<std::string> out;
  for (const auto& [name, pool] : loaded.config.pools) advise_pool(name, pool, out);
  for (const auto& [name, server] : loaded.config.servers) advise_server(loaded, name, server, out);
  advise_split(loaded.config, out);
  return out;
}

}  // namespace sluice::config
