// The configuration of an instance as plain values: what every other module reads. Filled from the option table by
// the loader (config/loader.hpp); validated once; immutable afterwards; copied into every worker.
#pragma once

#include <sluice/core/clock.hpp>

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace sluice::config {

enum class Mode { process, thread };
enum class Via { direct, proxy };
enum class Reuse { lifo, fifo };
enum class Preset { production, development, test };
enum class Pipeline { off, reads, all };  // which statements of several callers may travel together on one connection
enum class ResetOnReturn { automatic, always, never };  // "auto": only if the connection says it is dirty

// `--workers 4`, `--workers auto`, `--workers web=4,jobs=2`. auto (= all = -1) means usable CPUs.
struct WorkerCounts {
  static constexpr int automatic = -1;
  std::optional<int> first_kind;     // the plain form
  std::map<std::string, int> kinds;  // the named form
};

struct Restart {
  Duration backoff_min = 100ms;
  Duration backoff_max = 30s;
  Duration healthy_after = 10s;       // a life at least this long resets the backoff; its first restart is immediate
  std::uint32_t breaker_deaths = 10;  // this many deaths …
  Duration breaker_window = 60s;      // … within this time open the slot's breaker (state failed). 0 deaths: never
};

struct Heartbeat {
  Duration interval = 20ms;
  Duration hang_timeout = 30s;
};

struct Http {
  std::string listen = "127.0.0.1:8080";  // host:port, [v6]:port, or unix:/path
  std::uint64_t max_body = 1 << 20;       // bytes; larger bodies: 413
  std::uint32_t max_header = 16 << 10;    // bytes; larger: 431
  std::uint32_t max_connections = 10000;  // per worker; above: the listener is left to the siblings
  Duration header_timeout = 10s;
  Duration body_timeout = 30s;
  Duration request_timeout = 30s;  // handler; past it: 503. 0: none
  Duration keep_alive_timeout = 75s;
  Duration drain_idle = 1s;  // while draining, an idle keep-alive connection is closed after this long
};

struct Admin {
  std::string listen = "127.0.0.1:9901";  // "off": none
  std::string token;                      // empty: read-only
};

struct Log {
  std::string level = "info";   // debug info warning error off
  std::string format = "text";  // text json
  std::string file;             // empty: stderr
};

struct Server {
  std::string name;
  std::optional<std::uint32_t> total;  // nullopt: auto
  double headroom = 0.20;              // share kept free by auto, 0 ≤ x < 1
  std::uint32_t instances = 1;
  std::uint32_t floor = 1;  // permits per worker that it can always get back
  bool elastic = true;      // idle permits flow to the workers that need them
  Duration lend_idle = 30ms;   // an idle connection above the floor is given away after this
  Duration borrow_after = 5ms; // so long a caller must have waited before its worker asks the others
  std::uint32_t max_connecting = 2;
  std::uint32_t capacity = 1024;  // rows of the permit table, fixed at start
  Via via = Via::direct;
};

struct Pool {
  std::string name;
  std::string url;     // may hold a password: never print it, use redacted()
  std::string server;  // empty: pools with equal scheme, host and port share one server named after the first
  // size
  std::optional<std::uint32_t> max;  // absent: the limit
  std::uint32_t min_idle = 0;
  bool warm_up = true;
  bool adaptive = false;  // keeps open what the load of the last period needs, between min_idle and max
  double adaptive_target = 0.7;
  double adaptive_up = 0.8;
  double adaptive_down = 0.3;
  Duration adaptive_every = 30s;
  // share
  std::optional<std::uint32_t> max_requests_per_connection;  // absent: what the driver can do; 1: every lease is exclusive
  // wait
  Duration acquire_timeout = 5s;
  std::optional<std::uint32_t> queue_limit;  // absent: unbounded; 0: never for another caller
  // connect
  Duration connect_timeout = 5s;
  Duration connect_backoff_min = 100ms;
  Duration connect_backoff_max = 30s;
  // age (0: never)
  Duration idle_timeout = 10min;
  Duration soft_idle_timeout = 0s;  // closes idle ones while more than min_idle are open
  Duration max_lifetime = 30min;
  double lifetime_jitter = 0.1;  // each life is shortened by a random share up to this
  std::uint64_t max_uses = 0;
  // check
  Duration validate_after = 1s;
  Duration keepalive = 2min;
  std::string validation_query;  // empty: the driver's cheapest
  ResetOnReturn reset_on_return = ResetOnReturn::automatic;
  Reuse reuse = Reuse::lifo;
  // close
  Duration close_timeout = 5s;
  // safety
  Duration leak_after = 5min;     // a lease held this long is told as a suspected leak; 0: never
  bool leak_reclaim = false;      // … and its connection is taken away
  bool deadlock_detection = true; // a task that holds a lease and waits for another of the exhausted pool is told
  // sql
  Duration statement_timeout = 30s;     // 0: none; a per-call within(…) overrides
  std::uint32_t statement_cache = 256;  // prepared statements per connection; 0: none
  Pipeline pipeline = Pipeline::reads;   // only where the driver can do it, and only when no connection is free
  std::uint32_t pipeline_group = 32;     // the most statements that travel together
  Duration pipeline_patience = 50ms;     // a group that is not done by then is taken apart
  Duration slow_statement = 1s;          // statements this long are logged; 0: none
  bool log_parameters = false;           // the slow-statement log and errors show parameter values
  // tls
  std::string tls_mode;  // empty: from the url; disable | require | verify-ca | verify-full
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
};

struct Config {
  std::string name;      // the application's; default: the executable's file name
  std::string instance;  // default <name>@<host name>; at most 40 bytes of [A-Za-z0-9_.@-]
  Preset preset = Preset::production;
  WorkerCounts workers;
  std::uint32_t max_workers = 64;  // slots, fixed at start
  Mode mode = Mode::process;
  std::uint32_t threads = 0;  // hybrid: this many workers in each process; 0: by mode
  bool foreground = false;
  Duration boot_timeout = 60s;
  Duration graceful_timeout = 30s;
  Restart restart;
  Heartbeat heartbeat;
  Http http;
  Admin admin;
  std::string control;  // the control socket's path; empty: <directory>/<instance>.sock
  Log log;
  std::map<std::string, Server> servers;  // completed by the loader: every pool's server exists here
  std::map<std::string, Pool> pools;      // .server filled in by the loader
  std::string app_json = "{}";            // the application's own options (`app` in the file, --app.x), as JSON text

  // $XDG_RUNTIME_DIR or /tmp/sluice-<uid>; or the directory of `control`.
  std::string control_directory() const;
  std::string control_path() const;
  std::string lock_path() const;  // <control_directory>/<instance>.lock
};

// The url with its password and any secret query parameter replaced by "***".
std::string redact_url(const std::string& url);

}  // namespace sluice::config
