#include "support/cluster.hpp"

#include <sluice/http/client.hpp>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace sluice::test {
namespace {

std::string unique_instance() {
  static std::atomic<int> count{0};
  return "t" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

std::string last_lines(const std::string& text, std::size_t bytes) {
  return text.size() <= bytes ? text : "…" + text.substr(text.size() - bytes);
}

}  // namespace

std::string local(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

Cluster::Cluster(Setup setup) : setup_(std::move(setup)), instance_(unique_instance()), http_port_(unused_port()), admin_port_(unused_port()) {
  if (setup_.url.empty()) setup_.url = "sqlite:" + (directory_ / "orders.db");
  // Nobody of this name has ever run: no session of an earlier fleet has to be waited for.
  std::ofstream(directory_ / (instance_ + ".lock")) << "clean\n";
  start();
  if (setup_.wait_ready) wait_ready();
}

Cluster::~Cluster() {
  if (running_) {
    ::kill(master_, SIGKILL);
    wait_exit(5s);
  }
  if (master_ <= 0) return;
  // Whoever outlived the master: a test that checks says so by leftovers(); here they only must not stay.
  eventually(5s, [&] {
    const auto strays = processes_of_session(master_);
    for (const ProcessInfo& stray : strays) ::kill(stray.pid, SIGKILL);
    return strays.empty();
  });
}

std::vector<std::string> Cluster::command() const {
  std::vector<std::string> out{executable(setup_.application),
                               "--workers", setup_.workers,
                               "--instance", instance_,
                               "--control", control(),
                               "--http.listen", local(http_port_),
                               "--admin", local(admin_port_)};
  out.insert(out.end(), setup_.flags.begin(), setup_.flags.end());
  return out;
}

Environment Cluster::environment() const {
  Environment out = setup_.environment;
  out.emplace("DATABASE_URL", setup_.url);  // not a flag: urls hold passwords, and everybody may list processes
  return out;
}

void Cluster::reconfigure(const std::string& url, std::vector<std::string> flags) {
  if (!url.empty()) setup_.url = url;
  setup_.flags = std::move(flags);
}

void Cluster::start() {
  if (running_) throw std::logic_error("the cluster runs already");
  std::vector<std::string> whole = setup_.wrapper;
  for (std::string& argument : command()) whole.push_back(std::move(argument));
  master_ = launch_session(whole, environment(), directory_ / "out", directory_ / "err");
  running_ = true;
}

void Cluster::wait_ready(Duration limit) {
  std::string last = "no answer";
  const bool ready = eventually(limit, [&] {
    if (wait_exit(0s) >= 0) throw std::runtime_error("the application ended with " + std::to_string(exit_code_) + "\n" + tail());
    try {
      const http::Response response = admin_get("/readyz", 1s);
      last = std::to_string(response.status) + " " + response.body;
      return response.status == 200;
    } catch (const Error& error) {
      last = error.what();
      return false;
    }
  });
  if (!ready) throw std::runtime_error("not ready: " + last + "\n" + tail());
}

Finished Cluster::ctl(const std::vector<std::string>& arguments, Duration limit) const {
  std::vector<std::string> command{executable(setup_.application), "ctl"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  command.insert(command.end(), {"--control", control()});
  return execute(command, {}, limit);
}

nlohmann::json Cluster::ctl_json(std::vector<std::string> arguments) const {
  arguments.push_back("--json");
  const Finished finished = ctl(arguments);
  if (finished.exit_code != 0)
    throw std::runtime_error("ctl " + arguments[0] + " ended with " + std::to_string(finished.exit_code) + ": " + finished.err + "\n" + tail());
  return finished.json();
}

http::Response Cluster::control_request(const std::string& method, const std::string& target, Duration limit) const {
  return http::fetch("unix:" + control(), method, target, "", scaled(limit));
}

nlohmann::json Cluster::worker(int slot) const {
  for (const auto& row : workers())
    if (row.at("slot") == slot) return row;
  return nullptr;
}

pid_t Cluster::worker_pid(int slot) const {
  const auto row = worker(slot);
  return row.is_null() || row.at("pid").is_null() ? 0 : row.at("pid").get<pid_t>();
}

bool Cluster::wait_workers(int count, Duration limit) const {
  return eventually(limit, [&] {
    int ready = 0;
    for (const auto& row : workers()) {
      if (row.at("state") == "ready") ++ready;
      if (row.at("state") == "draining" || row.at("state") == "starting") return false;
    }
    return ready == count;
  });
}

bool Cluster::wait_generation_above(int slot, std::uint64_t generation, Duration limit) const {
  return eventually(limit, [&] {
    const auto row = worker(slot);
    return !row.is_null() && row.at("state") == "ready" && row.at("generation").get<std::uint64_t>() > generation;
  });
}

http::Response Cluster::get(const std::string& target, Duration limit) const {
  return http::fetch(local(http_port_), "GET", target, "", scaled(limit));
}

http::Response Cluster::try_get(const std::string& target, Duration limit) const noexcept {
  try {
    return get(target, limit);
  } catch (const std::exception& error) {
    return http::Response::text(error.what(), 0);
  }
}

http::Response Cluster::post(const std::string& target, const std::string& body, const http::Headers& headers, Duration limit) const {
  return http::fetch(local(http_port_), "POST", target, body, scaled(limit), headers);
}

http::Response Cluster::admin_get(const std::string& target, Duration limit) const {
  return http::fetch(local(admin_port_), "GET", target, "", scaled(limit));
}

std::optional<double> Cluster::metric(const std::string& sample) const {
  std::istringstream lines(admin_get("/metrics").body);
  std::string line;
  while (std::getline(lines, line))
    if (line.starts_with(sample + " ")) return std::stod(line.substr(sample.size() + 1));
  return std::nullopt;
}

int Cluster::stop(int signal, Duration limit) {
  if (running_) ::kill(master_, signal);
  return wait_exit(limit);
}

int Cluster::wait_exit(Duration limit) {
  if (!running_) return exit_code_;
  const int code = wait_for_exit(master_, limit);
  if (code < 0) return -1;
  running_ = false;
  return exit_code_ = code;
}

std::vector<ProcessInfo> Cluster::processes() const { return processes_of_session(master_); }

pid_t Cluster::process_titled(const std::string& title) const {
  for (const ProcessInfo& info : processes())
    if (command_line(info.pid) == setup_.application + ": " + title) return info.pid;
  return 0;
}

std::string Cluster::tail() const { return "output: " + last_lines(output(), 1000) + "\nlog: " + last_lines(log(), 4000); }

std::string Cluster::alarms() const {
  std::istringstream lines(log());
  std::string line, out;
  while (std::getline(lines, line))
    for (const char* alarm : {"AddressSanitizer", "ThreadSanitizer", "LeakSanitizer", "runtime error:", "UndefinedBehaviorSanitizer", "Assertion", "terminate called"})
      if (line.find(alarm) != std::string::npos) {
        out += line + "\n";
        break;
      }
  return out;
}

std::string Cluster::leftovers() const {
  std::string out = alarms();
  std::vector<ProcessInfo> left;
  // A killed child is gone a moment after its parent; the kernel needs no longer than this.
  eventually(500ms, [&] { return (left = processes()).empty(); });
  for (const ProcessInfo& info : left) out += "process " + std::to_string(info.pid) + " (" + info.command + ") in state " + info.state + "\n";
  for (const std::uint16_t port : {http_port_, admin_port_})
    if (!port_is_free(port)) out += "port " + std::to_string(port) + " is still bound\n";
  if (std::filesystem::exists(control())) out += "the control socket " + control() + " still exists\n";
  return out;
}

}  // namespace sluice::test
