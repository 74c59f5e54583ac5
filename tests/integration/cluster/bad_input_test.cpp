// Mistakes of people and bytes of strangers: one clear message (what, where, remedy), the documented exit code, nothing else disturbed.
#include "fixture.hpp"

#include <sluice/core/descriptor.hpp>
#include <sluice/http/client.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <random>

namespace sluice::test {
namespace {

// Runs orders until it ends by itself.
Finished run_orders(std::vector<std::string> flags, const TemporaryDirectory& directory) {
  std::vector<std::string> command{executable("orders"), "--control",        directory / "c.sock",         "--http.listen",
                                   local(unused_port()), "--admin",          local(unused_port()),         "--pools.main.url",
                                   "sqlite:" + (directory / "orders.db")};
  command.insert(command.end(), flags.begin(), flags.end());
  return execute(command, {}, 5s);
}

void check_refusal(const std::vector<std::string>& flags, int exit_code, const std::vector<std::string>& words) {
  TemporaryDirectory directory;
  std::string shown;
  for (const std::string& flag : flags) shown += flag + " ";
  const Finished finished = run_orders(flags, directory);
  INFO(shown << "→ " << finished.exit_code << ": " << finished.out << finished.err);
  CHECK(finished.exit_code == exit_code);
  CHECK(finished.out == "");
  for (const std::string& word : words) {
    INFO("expected word: " << word);
    CHECK(finished.err.find(word) != std::string::npos);
  }
  CHECK(finished.err.size() < 1000);
}

std::string write_file(const TemporaryDirectory& directory, const std::string& name, const std::string& text) {
  std::ofstream(directory / name) << text;
  return directory / name;
}

// Sends the bytes, ends the stream and returns what comes back (at most 64 KiB, at most a second).
std::string send_bytes(Descriptor socket, const std::string& bytes) {
  const timeval patience{1, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = ::send(socket.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) break;
    sent += static_cast<std::size_t>(n);
  }
  ::shutdown(socket.get(), SHUT_WR);
  std::string answer;
  char buffer[4096];
  for (ssize_t n; answer.size() < 65536 && (n = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;) answer.append(buffer, static_cast<std::size_t>(n));
  return answer;
}

Descriptor tcp(std::uint16_t port) {
  Descriptor out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return out;
}

Descriptor unix_socket(const std::string& path) {
  Descriptor out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::connect(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return out;
}

std::vector<std::string> garbage() {
  std::vector<std::string> out{"\r\n\r\n\r\n", std::string(100, '\0'), "GET", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\x01garbage",
                               "GET /" + std::string(100000, 'a') + " HTTP/1.1\r\n\r\n", "POST /orders HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                               "POST /orders HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "POST /orders HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                               "GET / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"};
  std::mt19937 random(7);
  for (int i = 0; i < 20; ++i) {
    std::string bytes(random() % 5000, ' ');
    for (char& c : bytes) c = static_cast<char>(random());
    out.push_back(std::move(bytes));
  }
  return out;
}

}  // namespace

TEST_CASE("An unknown option is refused with a suggestion and exit code 64") { check_refusal({"--http.lisen", "127.0.0.1:1"}, 64, {"http.lisen", "http.listen"}); }

TEST_CASE("An unknown key of a file is refused with its place, a suggestion and exit code 78") {
  TemporaryDirectory directory;
  check_refusal({"--config", write_file(directory, "orders.json", "{\n  \"http\": {\"lisen\": \"127.0.0.1:1\"}\n}\n")}, 78, {"http.lisen", "orders.json", "http.listen"});
  check_refusal({"--config", write_file(directory, "orders.yaml", "http:\n  lisen: 127.0.0.1:1\n")}, 78, {"http.lisen", "orders.yaml", "http.listen"});
}

TEST_CASE("A wrong type is refused with the option, the value and exit code 78") {
  check_refusal({"--max_workers", "many"}, 78, {"max_workers", "many"});
  check_refusal({"--pools.main.warm_up=perhaps"}, 78, {"pools.main.warm_up", "perhaps"});
  check_refusal({"--mode", "threads"}, 78, {"mode", "threads", "process"});
}

TEST_CASE("A duration without a unit is refused, and the message shows one with a unit") {
  check_refusal({"--http.request_timeout", "30"}, 78, {"http.request_timeout", "30s"});
}

TEST_CASE("Several mistakes are told together") {
  check_refusal({"--http.request_timeout", "30", "--max_workers", "many"}, 78, {"http.request_timeout", "max_workers"});
}

TEST_CASE("A port in use is refused with the option, the address, the remedy and exit code 69") {
  Cluster cluster({.workers = "1"});
  SHOW_LOG_OF(cluster);
  check_refusal({"--http.listen", local(cluster.http_port())}, 69, {"http.listen", local(cluster.http_port()), "in use"});
  check_refusal({"--admin", local(cluster.admin_port())}, 69, {"admin", local(cluster.admin_port()), "in use", "--admin off"});
  CHECK(cluster.get("/ping").status == 200);
  check_clean_end(cluster);
}

TEST_CASE("A budget that is too small is refused with the arithmetic and exit code 78") {
  // 4 workers × floor 1, and SQLite needs no permit to confirm.
  check_refusal({"--servers.main.total", "3", "--workers", "4"}, 78, {"main", "3", "4"});
  TemporaryDirectory directory;
  check_refusal({"--pools.main.url", "postgres://app:x@127.0.0.1:1/app", "--servers.main.total", "4", "--workers", "4"}, 78, {"main", "4", "5", "confirm"});
}

TEST_CASE("A budget above what the server has is refused once the server was asked, with the arithmetic") {
  PostgresServer* server = postgres();
  if (!server) return;
  TemporaryDirectory directory;
  const Finished finished = run_orders({"--pools.main.url", server->url(), "--servers.main.total", "18", "--workers", "2"}, directory);
  INFO(finished.err);
  CHECK(finished.exit_code == 78);
  CHECK(finished.err.find("18") != std::string::npos);
  CHECK(finished.err.find("17") != std::string::npos);  // 20 − 3 reserved
}

TEST_CASE("A second instance with the same id is refused with exit code 75, and the first goes on") {
  Cluster cluster({.workers = "2"});
  SHOW_LOG_OF(cluster);
  TemporaryDirectory directory;
  const Finished second = run_orders({"--instance", cluster.instance(), "--control", cluster.control()}, directory);
  INFO(second.err);
  CHECK(second.exit_code == 75);
  CHECK(second.err.find(cluster.instance()) != std::string::npos);
  CHECK(cluster.get("/ping").status == 200);
  CHECK(cluster.ctl({"status"}).exit_code == 0);
  for (const auto& worker : cluster.workers()) CHECK(worker.at("generation") == 1);
  check_clean_end(cluster);
}

TEST_CASE("Garbage on the HTTP port, the admin port and the control socket disturbs nobody") {
  Cluster cluster({.workers = "2"});
  SHOW_LOG_OF(cluster);
  const pid_t admin = cluster.process_titled("admin");
  Load load(cluster.http_port(), {.connections = 8, .users = 50});
  for (const std::string& bytes : garbage()) {
    // An error or nothing; never a success.
    for (const std::string& answer : {send_bytes(tcp(cluster.http_port()), bytes), send_bytes(tcp(cluster.admin_port()), bytes),
                                      send_bytes(unix_socket(cluster.control()), bytes)})
      CHECK((answer.empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5")));
  }
  REQUIRE(load.wait_answers(100));
  CHECK(load.stop().unexpected() == "");
  CHECK(cluster.process_titled("admin") == admin);
  for (const auto& worker : cluster.workers()) CHECK(worker.at("generation") == 1);
  CHECK(cluster.ctl({"status"}).exit_code == 0);
  check_clean_end(cluster);
}

TEST_CASE("The control socket is its owner's alone, and the admin address changes nothing without a token") {
  Cluster cluster({.workers = "2"});
  SHOW_LOG_OF(cluster);
  struct stat status {};
  REQUIRE(::stat(cluster.control().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  const auto response = http::fetch(local(cluster.admin_port()), "POST", "/api/stop", "{}", 5s);
  CHECK(response.status == 403);
  CHECK(response.body.find("token") != std::string::npos);
  CHECK(cluster.get("/ping").status == 200);
  check_clean_end(cluster);
}

TEST_CASE("ctl without a running instance says so and exits with 69; a wrong verb with 64") {
  TemporaryDirectory directory;
  const Finished nobody = execute({executable("orders"), "ctl", "status", "--control", directory / "c.sock"});
  CHECK(nobody.exit_code == 69);
  CHECK(nobody.out == "");
  CHECK(nobody.err.find("c.sock") != std::string::npos);
  const Finished wrong = execute({executable("orders"), "ctl", "stauts"});
  CHECK(wrong.exit_code == 64);
  CHECK(wrong.err.find("status") != std::string::npos);
}

TEST_CASE("No secret shows in output, log, process list, metrics, control answers or the printed configuration") {
  PostgresServer* server = postgres();
  if (!server) return;
  const std::string password = "h7Kq-pa55-Zw", token = "t0ken-Qx81-secret";
  server->query("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shy') THEN CREATE ROLE shy LOGIN PASSWORD '" + password + "'; END IF; END $$");
  server->query("GRANT app TO shy");
  server->query("ALTER ROLE shy SET role = 'app'");  // what it creates is app's, and in nobody's way
  const std::string url = server->url("shy", password);
  Cluster cluster({.workers = "2", .url = url, .flags = {"--admin_token", token, "--log", "debug"}});
  SHOW_LOG_OF(cluster);
  cluster.get("/ping");
  cluster.get("/users/1");
  std::vector<std::pair<std::string, std::string>> shown{{"log", cluster.log()}, {"output", "output: " + cluster.output()}};
  for (const ProcessInfo& info : cluster.processes()) {
    const std::string line = command_line(info.pid);
    CHECK(line.starts_with("orders: "));
    shown.emplace_back("command line " + line, line);
  }
  for (const char* page : {"/", "/metrics", "/readyz", "/health", "/livez"}) shown.emplace_back(page, cluster.admin_get(page).body);
  for (const char* verb : {"status", "workers", "pools", "permits"}) shown.emplace_back(verb, cluster.ctl_json({verb}).dump());
  auto print = cluster.command();
  print.push_back("--print-config");
  const Finished printed = execute(print, cluster.environment());
  CHECK(printed.exit_code == 0);
  CHECK(printed.out.find("shy") != std::string::npos);
  CHECK(printed.out.find("***") != std::string::npos);
  shown.emplace_back("--print-config", printed.out + printed.err);
  print.insert(print.end(), {"--http.request_timeout", "30"});
  shown.emplace_back("an error message", execute(print, cluster.environment()).err);
  for (const auto& place : shown) {
    INFO(place.first);
    CHECK(!place.second.empty());
    CHECK(place.second.find(password) == std::string::npos);
    CHECK(place.second.find(token) == std::string::npos);
  }
  check_clean_end(cluster, server);
}

}  // namespace sluice::test
