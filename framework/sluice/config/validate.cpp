#include <sluice/config/complete.hpp>
#include <sluice/config/endpoint.hpp>
#include <sluice/config/redact.hpp>
#include <sluice/config/validate.hpp>
#include <sluice/core/text.hpp>

#include <sys/un.h>
#include <algorithm>

namespace sluice::config {
namespace {

class Validator {
 public:
  Validator(const Loaded& loaded, const Application& application, Problems& problems)
      : loaded_(loaded), config_(loaded.config), application_(application), problems_(problems) {}

  void run() {
    check_instance();
    check_workers();
    check_order("restart.backoff_min", config_.restart.backoff_min <= config_.restart.backoff_max, "must not be longer than", "restart.backoff_max");
    check_order("heartbeat.hang_timeout", config_.heartbeat.hang_timeout > config_.heartbeat.interval, "must be longer than", "heartbeat.interval");
    for (const auto& [name, pool] : config_.pools) check_pool(name, pool);
    for (const auto& [name, server] : config_.servers) check_server(name, server);
  }

 private:
  // "pools.main.max = 8 (flag --pools.main.max)"
  std::string cite(const std::string& name) const {
    const auto match = find_option(name, Spelling::exact);
    const auto origin = loaded_.origin.find(name);
    const std::string value = shown(*match->option, format_value(*match->option, match->option->access.get(config_, match->key)));
    return text(name, " = ", value, " (", origin == loaded_.origin.end() ? "default" : origin->second, ")");
  }

  void refuse(const std::string& name, const std::string& why) { problems_.add(name, text(cite(name), ": ", why)); }

  void check_order(const std::string& name, bool good, std::string_view relation, const std::string& other) {
    if (!good) refuse(name, text(relation, " ", cite(other), "; change one of them"));
  }

  void check_instance() {
    if (fitting_instance(config_.instance) != config_.instance) {
      refuse("instance", "must be at most 40 bytes of A-Z a-z 0-9 _ . @ and -; choose a shorter or plainer id");
    }
    const std::string path = config_.control_path();
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
      problems_.add("control", text("control = ", path, " (", loaded_.origin.at("control"), "): the path has ", path.size(),
                                    " bytes, a socket's may have at most 107; give a shorter one with --control or XDG_RUNTIME_DIR"));
    }
  }

  void check_workers() {
    int sum = config_.workers.first_kind.value_or(0);
    if (sum == WorkerCounts::automatic) sum = 0;
    for (const auto& [kind, count] : config_.workers.kinds) {
      if (count != WorkerCounts::automatic) sum += count;
      check_kind(kind);
    }
    if (sum > static_cast<int>(config_.max_workers)) {
      refuse("workers", text(sum, " workers are more than ", cite("max_workers"), "; raise max_workers (at most 1024) or ask for fewer"));
    }
  }

  void check_kind(const std::string& kind) {
    const auto& kinds = application_.kinds;
    if (kinds.empty() || std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) return;
    const std::vector<std::string_view> names(kinds.begin(), kinds.end());
    const std::string_view near = closest(kind, names.data(), names.data() + names.size());
    std::string all;
    for (const std::string& name : kinds) all += text(all.empty() ? "" : ", ", name);
    refuse("workers", text("there is no kind '", kind, "'; the kinds are ", all, near.empty() ? "" : text("; did you mean '", near, "'?")));
  }

  void check_pool(const std::string& name, const Pool& pool) {
    const std::string at = text("pools.", name, ".");
    check_url(name, pool);
    if (!is_key(pool.server)) refuse(at + "server", "must be a name: 1 to 63 letters, digits, _ and -");
    if (pool.max) check_order(at + "min_idle", pool.min_idle <= *pool.max, "must not be more than", at + "max");
    check_order(at + "connect_backoff_min", pool.connect_backoff_min <= pool.connect_backoff_max, "must not be longer than",
                at + "connect_backoff_max");
    check_order(at + "adaptive.down", pool.adaptive_down < pool.adaptive_target, "must be less than", at + "adaptive.target");
    check_order(at + "adaptive.target", pool.adaptive_target <= pool.adaptive_up, "must not be more than", at + "adaptive.up");
    if (pool.tls_cert.empty() != pool.tls_key.empty()) {
      const std::string given = at + (pool.tls_cert.empty() ? "tls.key" : "tls.cert");
      refuse(given, text("certificate and key belong together; give ", at, pool.tls_cert.empty() ? "tls.cert" : "tls.key", " too"));
    }
  }

  void check_url(const std::string& name, const Pool& pool) {
    const std::string option = text("pools.", name, ".url");
    if (pool.url.empty()) {
      problems_.add(option, text(option, " is missing", because(name),
                                 "; write where to connect, such as postgres://user@host/database or sqlite:file.db", likely_pool(name)));
      return;
    }
    const auto endpoint = endpoint_of(pool.url);
    if (!endpoint) return refuse(option, "must begin with a scheme and a colon, such as postgres://user@host/database or sqlite:file.db");
    for (const auto& [other_name, other] : config_.pools) {
      if (other_name >= name || other.server != pool.server) continue;
      const auto other_endpoint = endpoint_of(other.url);
      if (other_endpoint && other_endpoint->scheme != endpoint->scheme) {
        refuse(text("pools.", name, ".server"), text("the pools ", other_name, " (", other_endpoint->scheme, ") and ", name, " (", endpoint->scheme,
                                                     ") cannot share a server; name two"));
      }
    }
  }

  // Which setting made this pool exist, for one that has no url.
  std::string because(const std::string& pool) const {
    for (const auto& [name, origin] : loaded_.origin) {
      if (name.starts_with(text("pools.", pool, ".")) && !origin.starts_with("default") && !origin.starts_with("preset"))
        return text(" (", origin, " sets ", name, ")");
    }
    return {};
  }
  std::string likely_pool(const std::string& pool) const {
    std::vector<std::string_view> others;
    for (const auto& [name, other] : config_.pools) {
      if (!other.url.empty()) others.push_back(name);
    }
    const std::string_view near = closest(pool, others.data(), others.data() + others.size());
    return near.empty() ? "" : text("; did you mean the pool '", near, "'?");
  }

  void check_server(const std::string& name, const Server& server) {
    const std::string at = text("servers.", name, ".");
    if (!server.total && server.via == Via::proxy) {
      refuse(at + "total", "auto cannot ask the server through a proxy; give the number of clients that the proxy allows");
    }
    if (!server.total) return;
    check_order(at + "total", *server.total >= server.instances, "must not be less than", at + "instances");
    check_order(at + "total", *server.total <= server.capacity, "must not be more than", at + "capacity");
  }

  const Loaded& loaded_;
  const Config& config_;
  const Application& application_;
  Problems& problems_;
};

}  // namespace

void validate(const Loaded& loaded, const Application& application, Problems& problems) { Validator(loaded, application, problems).run(); }

}  // namespace sluice::config
