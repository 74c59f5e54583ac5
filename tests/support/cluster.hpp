// One real instance for tests: the application's executable with a control socket, ports and (by default) an SQLite file of
// its own, in a session of its own. Killed with everything it started when the object ends. Not thread-safe.
//
//   Cluster cluster({.workers = "4"});            // started, and /readyz says 200
//   cluster.ctl({"scale", "web=8"});
//   CHECK(cluster.stop() == 0);
//   CHECK(cluster.leftovers() == "");
#pragma once

#include <sluice/http/message.hpp>

#include "support/eventually.hpp"
#include "support/process.hpp"

#include <signal.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace sluice::test {

class Cluster {
 public:
  struct Setup {
    std::string application = "orders";
    std::string workers = "2";
    std::string url = {};                  // pools.main.url; empty: an SQLite file in the cluster's directory
    std::vector<std::string> flags = {};   // further ones; they come last and win
    Environment environment = {};
    std::vector<std::string> wrapper = {};  // executes the rest of its command line in place, e.g. unshare -m
    bool wait_ready = true;
  };

  explicit Cluster(Setup setup);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster();

  // For the next start(): these instead of the setup's url and flags.
  void reconfigure(const std::string& url, std::vector<std::string> flags);
  // The constructor does both. Again after the end: a new life in the same directory, on the same ports.
  void start();
  // Throws std::runtime_error with the end of the log if /readyz does not say 200 in time, or the master ended.
  void wait_ready(Duration limit = 10s);

  pid_t master() const noexcept { return master_; }
  std::uint16_t http_port() const noexcept { return http_port_; }
  std::uint16_t admin_port() const noexcept { return admin_port_; }
  std::string control() const { return directory_ / "c.sock"; }
  const TemporaryDirectory& directory() const noexcept { return directory_; }
  const std::string& instance() const noexcept { return instance_; }
  // What start() executes, for tests that start a second one by hand.
  std::vector<std::string> command() const;
  Environment environment() const;

  // `app ctl <arguments> --control <ours>`
  Finished ctl(const std::vector<std::string>& arguments, Duration limit = 20s) const;
  // The same with --json, parsed. Throws unless it exits with 0.
  nlohmann::json ctl_json(std::vector<std::string> arguments) const;
  // The control API over its socket; no process is started.
  http::Response control_request(const std::string& method, const std::string& target, Duration limit = 5s) const;

  nlohmann::json workers() const { return ctl_json({"workers"}); }
  // The row of this slot; null if there is none.
  nlohmann::json worker(int slot) const;
  pid_t worker_pid(int slot) const;  // 0 while nobody lives in the slot
  // True once `count` workers and no more are in state ready, and nobody drains.
  bool wait_workers(int count, Duration limit = 10s) const;
  // True once the slot is ready in a generation above `generation`.
  bool wait_generation_above(int slot, std::uint64_t generation, Duration limit) const;

  // On a connection of its own. Throws what http::fetch throws.
  http::Response get(const std::string& target, Duration limit = 5s) const;
  http::Response post(const std::string& target, const std::string& body, const http::Headers& headers = {}, Duration limit = 5s) const;
  // As get(), but what get() would throw is an answer with status 0 and the error as its body: for threads of a test.
  http::Response try_get(const std::string& target, Duration limit = 5s) const noexcept;
  http::Response admin_get(const std::string& target, Duration limit = 5s) const;
  // The value of a sample in /metrics by its name with labels as written; nothing if there is none.
  std::optional<double> metric(const std::string& sample) const;

  // Sends the signal and waits: exit code, 128 + signal, or -1 if it still runs.
  int stop(int signal = SIGTERM, Duration limit = 15s);
  int wait_exit(Duration limit);
  bool exited() const noexcept { return !running_; }

  // Of the instance's session, the master first.
  std::vector<ProcessInfo> processes() const;
  // A child of the instance by its title ("admin", "web 0"); 0 if there is none.
  pid_t process_titled(const std::string& title) const;
  std::string output() const { return read_file(directory_ / "out"); }
  std::string log() const { return read_file(directory_ / "err"); }
  // The last lines of output and log, for failure messages.
  std::string tail() const;

  // For the end of a test, after stop(): processes, zombies, bound ports, the socket file, sanitizer reports. Empty: nothing.
  std::string leftovers() const;
  // Lines of the log that no run may contain: sanitizer reports, crashes.
  std::string alarms() const;

 private:
  Setup setup_;
  TemporaryDirectory directory_;
  std::string instance_;
  std::uint16_t http_port_;
  std::uint16_t admin_port_;
  pid_t master_ = 0;
  bool running_ = false;
  int exit_code_ = -1;
};

// "127.0.0.1:port"
std::string local(std::uint16_t port);

}  // namespace sluice::test
