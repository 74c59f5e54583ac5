// The admin process itself, forked, with a fake master at the other end of a real socket pair.
#include <sluice/admin/admin.hpp>
#include <sluice/admin/client.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/client.hpp>
#include <sluice/http/server.hpp>
#include <sluice/shm/message.hpp>

#include "sample.hpp"
#include "support/eventually.hpp"

#include <doctest/doctest.h>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <thread>

using namespace sluice;
using namespace sluice::admin;
using nlohmann::json;
using test::eventually;

namespace {

// An admin process over the sample segment. The fake master answers each command with what `answer` makes of it.
class Instance {
 public:
  using Answer = std::function<std::optional<shm::Message>(const shm::Message&)>;

  explicit Instance(Answer answer, const std::string& token = "", const std::string& name = "orders@test") : answer_(std::move(answer)) {
    char path[] = "/tmp/sluice-admin-XXXXXX";
    directory_ = ::mkdtemp(path);
    socket_ = directory_ + "/" + name + ".sock";
    segment_.published().tick_nanos.set_signed(now_nanos());
    config_.admin.token = token;
    config_.graceful_timeout = 2s;
    control_ = http::bind_listener("unix:" + socket_, "--control");
    address_ = http::bind_listener("127.0.0.1:0", "--admin");
    auto [ours, theirs] = message_socket_pair();
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ours.reset();
      segment_.make_read_only();
      Inputs inputs;
      inputs.segment = &segment_;
      inputs.config = &config_;
      inputs.channel = theirs.get();
      inputs.control_listener = control_.get();
      inputs.admin_listener = address_.get();
      int code = 70;
      try {
        code = run(inputs);
      } catch (const std::exception& e) {
        std::cerr << "admin process: " << e.what() << std::endl;
      }
      ::_exit(code);
    }
    channel_ = std::move(ours);
    theirs.reset();
    port_ = http::local_address(address_.get());
    control_.reset();
    address_.reset();
    master_ = std::thread([this] { serve_commands(); });
  }
  ~Instance() {
    end();
    if (pid_ > 0 && !reaped_) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    std::filesystem::remove_all(directory_);
  }

  pid_t pid() const { return pid_; }
  const std::string& socket() const { return socket_; }
  const std::string& directory() const { return directory_; }
  shm::Segment& segment() { return segment_; }
  http::Response control(const std::string& method, const std::string& target, const std::string& body = "") const {
    return http::fetch("unix:" + socket_, method, target, body, test::scaled(10s));
  }
  http::Response address(const std::string& method, const std::string& target, const std::string& body = "",
                         const http::Headers& headers = {}) const {
    return http::fetch(port_, method, target, body, test::scaled(10s), headers);
  }
  // The master goes away: its end of the channel is closed.
  void end() {
    if (!master_.joinable()) return;
    ending_ = true;
    ::shutdown(channel_.get(), SHUT_RD);
    master_.join();
    channel_.reset();
  }
  void send_raw(const void* data, std::size_t size) const { REQUIRE(::send(channel_.get(), data, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size)); }
  // The exit status, or nothing if it still runs after the limit.
  std::optional<int> wait(Duration limit) {
    int status = 0;
    if (!eventually(limit, [&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return std::nullopt;
    reaped_ = true;
    return status;
  }

 private:
  void serve_commands() {
    while (!ending_) {
      pollfd poll{channel_.get(), POLLIN, 0};
      if (::poll(&poll, 1, -1) < 0) continue;
      shm::Message message;
      switch (shm::receive(channel_.get(), message)) {
        case shm::Received::closed: return;
        case shm::Received::message: break;
        default: continue;
      }
      if (auto reply = answer_(message)) shm::send(channel_.get(), *reply);
    }
  }

  Answer answer_;
  shm::Segment segment_ = test::sample_segment();
  config::Config config_;
  std::string directory_, socket_, port_;
  Descriptor control_, address_, channel_;
  pid_t pid_ = -1;  // never changes once forked: the thread that plays the master reads it
  bool reaped_ = false;
  std::thread master_;
  std::atomic<bool> ending_{false};
};

shm::Message reply(const shm::Message& command, std::int64_t value, std::string_view said) {
  shm::Message message;
  message.type = shm::MessageType::reply;
  message.id = command.id;
  message.value = value;
  message.set_text(said);
  return message;
}

// Does what it is told, up to eight workers.
std::optional<shm::Message> obedient(const shm::Message& command) {
  if (command.type == shm::MessageType::stop_instance) return reply(command, 0, command.flag ? "stopping fast" : "stopping");
  if (command.value > 8) return reply(command, 78, text("budget 13 < ", command.value, " workers x 1 + 1; password=hunter2"));
  return reply(command, 0, text("kind ", command.slot, command.flag ? " by " : " to ", command.value));
}
std::optional<shm::Message> silent(const shm::Message&) { return std::nullopt; }

struct Ran {
  int code;
  std::string out, err;
};

// ctl in this process, with what it prints.
Ran run_ctl(const std::string& application, const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  std::streambuf* const old_out = std::cout.rdbuf(out.rdbuf());
  std::streambuf* const old_err = std::cerr.rdbuf(err.rdbuf());
  const int code = ctl(application, arguments);
  std::cout.rdbuf(old_out);
  std::cerr.rdbuf(old_err);
  return {code, out.str(), err.str()};
}

struct RuntimeDirectory {
  explicit RuntimeDirectory(const std::string& path) {
    if (const char* old = std::getenv("XDG_RUNTIME_DIR")) before = old;
    ::setenv("XDG_RUNTIME_DIR", path.c_str(), 1);
  }
  ~RuntimeDirectory() { before ? ::setenv("XDG_RUNTIME_DIR", before->c_str(), 1) : ::unsetenv("XDG_RUNTIME_DIR"); }
  std::optional<std::string> before;
};

// Sends bytes to the control socket and reads until the other side ends or answers nothing more.
std::string exchange(const std::string& path, const std::string& bytes) {
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  static_cast<void>(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
  ::shutdown(socket.get(), SHUT_WR);
  std::string out;
  char buffer[4096];
  for (pollfd poll{socket.get(), POLLIN, 0}; ::poll(&poll, 1, 5000) > 0;) {
    const ssize_t n = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (n <= 0) break;
    out.append(buffer, static_cast<std::size_t>(n));
  }
  return out;
}

std::size_t resident_kib(pid_t pid) {
  std::ifstream file(text("/proc/", pid, "/statm"));
  std::size_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * 4;
}

}  // namespace

TEST_CASE("the control socket answers every document, the probes and the page") {
  Instance instance(obedient);
  CHECK(json::parse(instance.control("GET", "/api/status").body)["instance"] == "orders@test");
  CHECK(json::parse(instance.control("GET", "/api/workers").body).size() == 3);
  CHECK(json::parse(instance.control("GET", "/api/pools").body).size() == 6);
  CHECK(json::parse(instance.control("GET", "/api/permits").body).size() == 17);
  const http::Response metrics = instance.control("GET", "/metrics");
  CHECK(metrics.status == 200);
  REQUIRE(metrics.headers.count("content-type") == 1);
  CHECK(metrics.headers.find("content-type")->second == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metrics.body.find("\nsluice_pool_acquires_total{") != std::string::npos);
  for (const char* probe : {"/livez", "/readyz", "/startupz", "/health"}) {
    INFO(probe);
    CHECK(instance.control("GET", probe).status == 200);
  }
  const http::Response page = instance.address("GET", "/");
  CHECK(page.status == 200);
  CHECK(page.body.find("<!doctype html>") == 0);
  CHECK(page.headers.find("content-security-policy")->second.find("default-src 'none'") == 0);
  CHECK(instance.control("GET", "/nonsense").status == 404);
  CHECK(instance.control("GET", "/api/scale").status == 405);
}

TEST_CASE("what the segment says now is what is answered") {
  Instance instance(obedient);
  CHECK(instance.control("GET", "/readyz").status == 200);
  instance.segment().slots()[1].state.set(static_cast<std::uint64_t>(shm::SlotState::failed));
  const http::Response response = instance.control("GET", "/readyz");
  CHECK(response.status == 503);
  CHECK(json::parse(response.body)["reasons"][0]["subject"] == "worker web 1");
}

TEST_CASE("commands reach the master and its answer comes back") {
  Instance instance(obedient);
  const http::Response done = instance.control("POST", "/api/scale", R"({"kind": "jobs", "value": -2, "relative": true})");
  CHECK(done.status == 200);
  CHECK(json::parse(done.body)["text"] == "kind 1 by -2");
  const http::Response refused = instance.control("POST", "/api/scale", R"({"value": 9})");
  CHECK(refused.status == 409);
  CHECK(json::parse(refused.body)["error"]["code"] == 78);
  CHECK(json::parse(refused.body)["error"]["reason"] == "budget 13 < 9 workers x 1 + 1; password=***");
  for (const char* body : {"", "{", "[]", R"({"value": "8"})", R"({"kind": "x", "value": 1})"}) {
    INFO(body);
    const http::Response bad = instance.control("POST", "/api/scale", body);
    CHECK(bad.status == 400);
    CHECK(json::parse(bad.body)["error"]["code"] == 64);
    CHECK(json::parse(bad.body)["error"]["reason"].get<std::string>().size() > 5);
  }
  CHECK(json::parse(instance.control("POST", "/api/stop").body) == json({{"text", "stopping"}, {"graceful_timeout_ms", 2000}}));
  CHECK(json::parse(instance.control("POST", "/api/stop", R"({"fast": true})").body)["text"] == "stopping fast");
}

TEST_CASE("a master that does not answer is reported, and reading goes on meanwhile") {
  Instance instance(silent);
  std::thread asking([&] {
    const http::Response response = instance.control("POST", "/api/scale", R"({"value": 3})");
    CHECK(response.status == 504);
    CHECK(json::parse(response.body)["error"]["code"] == 75);
  });
  CHECK(instance.control("GET", "/livez").status == 200);
  asking.join();
}

TEST_CASE("the admin address is read-only without a token") {
  Instance instance(obedient);
  CHECK(instance.address("GET", "/api/status").status == 200);
  const http::Response refused = instance.address("POST", "/api/stop", "", {{"Authorization", "Bearer "}});
  CHECK(refused.status == 403);
  CHECK(json::parse(refused.body)["error"]["reason"].get<std::string>().find("read-only") != std::string::npos);
}

TEST_CASE("the admin address takes commands with the configured token only") {
  Instance instance(obedient, "correct horse");
  const std::string body = R"({"value": 3})";
  CHECK(instance.address("POST", "/api/scale", body).status == 401);
  CHECK(instance.address("POST", "/api/scale", body, {{"Authorization", "Bearer correct hors"}}).status == 401);
  CHECK(instance.address("POST", "/api/scale", body, {{"Authorization", "correct horse"}}).status == 401);
  CHECK(instance.address("POST", "/api/scale", body, {{"Authorization", "Bearer correct horse"}}).status == 200);
  CHECK(instance.control("POST", "/api/scale", body).status == 200);  // the socket's file mode is its guard
}

TEST_CASE("garbage on the control socket or from the channel leaves it serving") {
  Instance instance(obedient);
  std::string noise;
  for (int i = 0; i < 5000; ++i) noise += static_cast<char>(i * 37 + i / 256);
  for (const std::string& bytes :
       {noise, std::string("\0\0\0\0", 4), std::string("GET\r\n\r\n"), std::string("POST /api/scale HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"),
        std::string("POST /api/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{{{"), std::string()}) {
    const std::string answer = exchange(instance.socket(), bytes);
    INFO(answer);
    CHECK((answer.empty() || answer.find("HTTP/1.1 4") == 0));
  }
  instance.send_raw("short", 5);
  const std::string longer(1000, 'x');
  instance.send_raw(longer.data(), longer.size());
  shm::Message nobody_asked;
  nobody_asked.type = shm::MessageType::reply;
  nobody_asked.id = 4711;
  instance.send_raw(&nobody_asked, sizeof nobody_asked);
  CHECK(instance.control("GET", "/livez").status == 200);
  CHECK(instance.control("POST", "/api/scale", R"({"value": 3})").status == 200);
}

TEST_CASE("curl speaks to the control socket") {
  Instance instance(obedient);
  if (std::system("command -v curl >/dev/null 2>&1") != 0) {
    const char* required = std::getenv("SLUICE_REQUIRE_SERVERS");
    REQUIRE_MESSAGE(!(required && std::string(required) == "1"), "curl is not installed");
    MESSAGE("skipped: curl is not installed");
    return;
  }
  const std::string curl = "curl -fsS --unix-socket " + instance.socket() + " ";
  CHECK(std::system((curl + "http://localhost/api/status | grep -q orders@test").c_str()) == 0);
  CHECK(std::system((curl + "-d '{\"value\": 3}' http://localhost/api/scale | grep -q 'kind 0 to 3'").c_str()) == 0);
}

TEST_CASE("the process ends with the master's end of the channel, and on SIGTERM") {
  Instance orphaned(obedient);
  CHECK(orphaned.control("GET", "/livez").status == 200);
  orphaned.end();
  CHECK(orphaned.wait(2s) == 0);

  Instance told(obedient);
  CHECK(told.control("GET", "/livez").status == 200);
  ::kill(told.pid(), SIGINT);  // a terminal's ^C is for the master
  CHECK(told.control("GET", "/livez").status == 200);
  ::kill(told.pid(), SIGTERM);
  CHECK(told.wait(2s) == 0);
}

TEST_CASE("a command in flight does not keep the process from ending") {
  std::atomic<bool> came{false};
  Instance instance([&](const shm::Message&) -> std::optional<shm::Message> {
    came = true;
    return std::nullopt;
  });
  std::thread asking([&] { CHECK_THROWS(instance.control("POST", "/api/scale", R"({"value": 3})")); });
  CHECK(eventually(10s, [&] { return came.load(); }));
  CHECK(instance.control("GET", "/livez").status == 200);
  instance.end();
  CHECK(instance.wait(2s) == 0);
  asking.join();
}

TEST_CASE("answering many times does not grow the process") {
  if (test::sanitized) return;
  Instance instance(obedient);
  const auto ask_all = [&](int times) {
    for (int i = 0; i < times; ++i) {
      for (const char* target : {"/metrics", "/api/status", "/api/permits", "/"}) REQUIRE(instance.control("GET", target).status == 200);
    }
  };
  ask_all(20);
  const std::size_t before = resident_kib(instance.pid());
  ask_all(200);
  CHECK(resident_kib(instance.pid()) <= before + 512);
}

TEST_CASE("ctl prints tables for humans and JSON for scripts") {
  Instance instance(obedient);
  const std::vector<std::string> control = {"--control", instance.socket()};
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), control.begin(), control.end());
    return run_ctl("orders", arguments);
  };
  for (const char* command : {"status", "workers", "pools", "permits", "health"}) {
    INFO(command);
    const Ran human = with({command});
    CHECK(human.code == 0);
    CHECK(human.err.empty());
    CHECK_FALSE(json::accept(human.out));
    const Ran script = with({command, "--json"});
    CHECK(script.code == 0);
    CHECK(json::accept(script.out));
  }
  CHECK(json::parse(with({"workers", "--json"}).out)[1]["generation"] == 3);
  CHECK(with({"metrics"}).out.find("# HELP sluice_build_info") == 0);
  const Ran scaled = with({"scale", "jobs=-2"});
  CHECK(scaled.code == 0);
  CHECK(scaled.out == "kind 1 by -2\n");
  const Ran refused = with({"scale", "9"});
  CHECK(refused.code == 78);
  CHECK(refused.out.empty());
  CHECK(refused.err == "orders ctl: budget 13 < 9 workers x 1 + 1; password=***\n");
  const Ran unknown = with({"scale", "wep=2"});
  CHECK(unknown.code == 64);
  CHECK(unknown.err.find("did you mean \"web\"?") != std::string::npos);
}

TEST_CASE("ctl shows an unhealthy instance and ends with 69") {
  Instance instance(obedient);
  for (unsigned slot : {0u, 1u, 4u}) instance.segment().slots()[slot].state.set(static_cast<std::uint64_t>(shm::SlotState::failed));
  const Ran ran = run_ctl("", {"health", "--control", instance.socket()});
  CHECK(ran.code == 69);
  CHECK(ran.out.find("unhealthy\n  worker web 0: failed") == 0);
}

TEST_CASE("ctl finds the one running instance, and says what to do if there is none or several") {
  char path[] = "/tmp/sluice-none-XXXXXX";
  const std::string empty = ::mkdtemp(path);
  {
    const RuntimeDirectory runtime(empty);
    const Ran none = run_ctl("orders", {"status"});
    CHECK(none.code == 69);
    CHECK(none.err.find("no running instance of \"orders\"") != std::string::npos);
    CHECK(none.err.find("--control PATH") != std::string::npos);
  }
  std::filesystem::remove_all(empty);

  Instance instance(obedient);
  const RuntimeDirectory runtime(instance.directory());
  { Descriptor stale = http::bind_listener("unix:" + instance.directory() + "/orders@gone.sock", "--control"); }  // a file that nobody answers on
  REQUIRE(std::filesystem::exists(instance.directory() + "/orders@gone.sock"));
  CHECK(run_ctl("orders", {"status"}).code == 0);
  CHECK(run_ctl("", {"status"}).code == 0);
  CHECK(run_ctl("shop", {"status"}).code == 69);

  const Descriptor second = http::bind_listener("unix:" + instance.directory() + "/orders@two.sock", "--control");
  const Ran several = run_ctl("orders", {"status"});
  CHECK(several.code == 64);
  CHECK(several.err.find("--control " + instance.socket()) != std::string::npos);
  CHECK(several.err.find("orders@two.sock") != std::string::npos);
}

TEST_CASE("ctl finds an instance by its application when its id is the user's choice") {
  Instance instance(obedient, "", "blue");
  const RuntimeDirectory runtime(instance.directory());
  CHECK(run_ctl("orders", {"status"}).code == 0);
  CHECK(run_ctl("shop", {"status"}).code == 69);
}

TEST_CASE("ctl names a socket that does not answer") {
  const Ran ran = run_ctl("orders", {"status", "--control", "/tmp/sluice-not-there.sock"});
  CHECK(ran.code == 69);
  CHECK(ran.err.find("/tmp/sluice-not-there.sock") != std::string::npos);
  CHECK(ran.out.empty());
}

TEST_CASE("ctl stop returns when the instance is gone") {
  Instance instance([&instance](const shm::Message& command) {
    if (command.type == shm::MessageType::stop_instance) ::kill(instance.pid(), SIGTERM);
    return obedient(command);
  });
  const Ran ran = run_ctl("orders", {"stop", "--control", instance.socket()});
  CHECK(ran.code == 0);
  CHECK(ran.out == "stopped\n");
  CHECK(instance.wait(2s) == 0);
}

TEST_CASE("ctl stop --no-wait returns when the master has accepted") {
  Instance instance(obedient);
  const Ran ran = run_ctl("orders", {"stop", "--fast", "--no-wait", "--control", instance.socket()});
  CHECK(ran.code == 0);
  CHECK(ran.out == "stopping fast\n");
  CHECK(instance.control("GET", "/livez").status == 200);
}
