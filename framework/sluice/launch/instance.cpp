#include <sluice/launch/instance.hpp>

#include <sluice/core/cpus.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/server.hpp>
#include <sluice/pool/registry.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>

namespace sluice::launching {
namespace {

const pool::Driver& driver_of(const config::Pool& pool) {
  const std::string scheme = pool::scheme_of(pool.url);
  const pool::Driver* driver = pool::find_driver(scheme);
  if (driver) return *driver;
  const std::vector<std::string> all = pool::known_schemes();
  std::string known;
  for (const std::string& s : all) known += (known.empty() ? "" : ", ") + s;
  // Other frameworks' "postgresql+psycopg2://" and the like.
  const std::string family = scheme.substr(0, scheme.find('+'));
  const std::vector<std::string_view> names(all.begin(), all.end());
  const std::string_view near = closest(family, names.data(), names.data() + names.size());
  throw ExitError(ExitCode::config, text("pools.", pool.name, ".url: no driver for '", scheme, ":' is linked into this program; it knows: ",
                                         known.empty() ? "none (link sluice::sqlite or sluice::postgres)" : known,
                                         near.empty() ? "" : text("; did you mean '", near, ":'?")));
}

shm::Segment make_segment(const config::Config& config, const std::vector<Kind>& kinds, std::vector<std::string>& pool_order,
                          std::vector<config::Server>& server_order, std::vector<bool>& local) {
  shm::Shape shape;
  shape.instance = config.instance;
  shape.application = config.name;
  shape.max_workers = config.max_workers;
  for (const Kind& kind : kinds) shape.kinds.emplace_back(kind.name);
  for (const auto& [name, server] : config.servers) {
    server_order.push_back(server);
    server_order.back().name = name;
    local.push_back(false);
    shape.servers.push_back({name, std::max(server.capacity, server.total.value_or(0))});
  }
  std::vector<bool> used(server_order.size());
  for (const auto& [name, pool] : config.pools) {
    const auto server = std::find_if(server_order.begin(), server_order.end(), [&p = pool](const config::Server& s) { return s.name == p.server; });
    if (server == server_order.end()) throw ExitError(ExitCode::config, text("pools.", name, ".server: there is no server '", pool.server, "'"));
    const auto index = static_cast<std::uint32_t>(server - server_order.begin());
    const pool::Driver& driver = driver_of(pool);
    local[index] = driver.local;
    used[index] = true;
    if (!driver.local && !driver.make_inspector && pool.server != "" && server->via != config::Via::proxy)
      throw ExitError(ExitCode::config, text("pools.", name, ".url: this driver cannot ask its server, so its budget cannot be confirmed; set servers.", server->name, ".via: proxy"));
    driver.make_connector(pool, pool::Identity{config.instance, "00000000", 0, 0});  // a malformed url or option is found here, not in every worker
    pool_order.push_back(name);
    shape.pools.push_back({name, pool::scheme_of(pool.url), index, pool.max.value_or(0)});
  }
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i]) continue;
    std::vector<std::string_view> names;
    for (std::size_t j = 0; j < used.size(); ++j) {
      if (used[j]) names.push_back(server_order[j].name);
    }
    const std::string_view near = closest(server_order[i].name, names.data(), names.data() + names.size());
    throw ExitError(ExitCode::config, text("servers.", server_order[i].name, ": no pool uses this server", near.empty() ? "" : text("; did you mean '", near, "'?"),
                                           "; name it in a pool's `server`, or leave it out"));
  }
  return shm::Segment::create(shape);
}

}  // namespace

std::vector<supervise::KindCount> count_workers(const config::Config& config, const std::vector<Kind>& kinds) {
  std::vector<supervise::KindCount> counts;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    int n = kinds[i].default_workers;
    if (i == 0 && config.workers.first_kind) n = *config.workers.first_kind;
    const auto named = config.workers.kinds.find(std::string(kinds[i].name));
    if (named != config.workers.kinds.end()) n = named->second;
    if (n < 0) n = usable_cpus();
    counts.push_back({std::string(kinds[i].name), static_cast<std::uint32_t>(n)});
    sum += static_cast<std::uint64_t>(n);
  }
  if (sum > config.max_workers)
    throw ExitError(ExitCode::config, text("workers: ", sum, " workers are more than max_workers ", config.max_workers, "; raise --max-workers"));
  return counts;
}

Instance::Instance(const config::Config& config, const std::vector<Kind>& kinds)
    : config_(config), kinds_(kinds), segment_(make_segment(config, kinds, pool_order_, server_order_, local_)),
      bells_(config.max_workers) {
  shm::Header& header = segment_.header();
  header.boot_nonce = std::random_device{}() & 0xffffffffu;
  header.started_nanos = now_nanos();
  header.started_unix_seconds = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  header.master_pid = ::getpid();
  header.usable_cpus = usable_cpus();
}

supervise::BudgetKeeper Instance::make_keeper(bool unclean) { return supervise::BudgetKeeper(segment_, server_order_, local_, unclean); }

void Instance::bind_listeners() {
  if (std::none_of(kinds_.begin(), kinds_.end(), [](const Kind& k) { return k.needs_http_listener; })) return;
  listeners_.push_back(http::bind_listener(config_.http.listen, "http.listen"));
  listener_fds_.emplace_back("http", listeners_.back().get());
}

void Instance::close_listeners() {
  listener_fds_.clear();
  listeners_.clear();
}

runtime::HostInputs Instance::host_inputs(int channel) {
  runtime::HostInputs inputs;
  inputs.channel = channel;
  inputs.title_prefix = config_.name + ": ";
  inputs.make_life = [this](std::uint32_t slot, std::uint64_t generation, std::uint32_t kind) {
    runtime::LifeInputs life;
    life.segment = &segment_;
    life.config = &config_;
    life.pool_order = pool_order_;
    life.slot = slot;
    life.generation = generation;
    life.kind = kind;
    life.kind_name = std::string(kinds_[kind].name);
    life.make = kinds_[kind].make;
    life.listeners = listener_fds_;
    life.bells = &bells_;
    return life;
  };
  return inputs;
}

runtime::JanitorInputs Instance::janitor_inputs(int channel, std::uint64_t generation) {
  runtime::JanitorInputs inputs;
  inputs.segment = &segment_;
  inputs.config = &config_;
  inputs.pool_order = pool_order_;
  inputs.channel = channel;
  inputs.generation = generation;
  return inputs;
}

}  // namespace sluice::launching
