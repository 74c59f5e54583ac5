// The event loop never waits: not for a statement, not for a server that is slow, silent, full or dead.
#include "fixture.hpp"

#include <sluice/core/descriptor.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace sluice::test {
namespace {

// Asks /ping until `until` says so; the slowest answer.
template <class Until>
Duration slowest_ping(const Cluster& cluster, Until until) {
  Duration slowest{};
  while (!until()) {
    const TimePoint asked = Clock::now();
    REQUIRE(cluster.get("/ping").status == 200);
    slowest = std::max(slowest, Clock::now() - asked);
    std::this_thread::sleep_for(2ms);
  }
  return slowest;
}

Duration longest_gap(const Cluster& cluster) {
  Duration longest{};
  for (const auto& worker : cluster.workers())
    longest = std::max(longest, std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(worker.at("heartbeat_max_gap_ms").get<double>())));
  return longest;
}

Descriptor listener(std::uint16_t port, int backlog) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(socket.get(), backlog) == 0);
  return socket;
}

// A listener whose queue is full: further SYNs are dropped, as by an address that never answers.
struct FullBacklog {
  std::uint16_t port = unused_port();
  Descriptor socket = listener(port, 0);
  std::vector<Descriptor> fillers;

  FullBacklog() {
    for (int i = 0; i < 4; ++i) {
      Descriptor filler(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(port);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      ::connect(filler.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
      fillers.push_back(std::move(filler));
    }
  }
};

// While pool "other" meets `url`, the application answers /ping and its loop turns; /query/other says what was wrong.
// Queries take at most a second; they may succeed (a slow but sound server) or not.
void other_pool_meets(const std::string& url, bool succeeds, std::vector<std::string> further_flags = {}, std::vector<std::string> wrapper = {}) {
  std::vector<std::string> flags{"--pools.other.url", url, "--pools.other.warm_up", "false", "--pools.other.connect_timeout", "1s",
                                 "--pools.other.connect_backoff_max", "200ms", "--pools.other.close_timeout", "300ms"};
  flags.insert(flags.end(), further_flags.begin(), further_flags.end());
  if (std::find(flags.begin(), flags.end(), "--servers.other.total") == flags.end()) flags.insert(flags.end(), {"--servers.other.total", "4"});
  // A clean end first: after an unclean one the worker would get no permit until the other server has answered.
  Cluster cluster({.application = "testapp", .workers = "1", .wrapper = std::move(wrapper)});
  SHOW_LOG_OF(cluster);
  REQUIRE(cluster.stop() == 0);
  cluster.reconfigure({}, flags);
  cluster.start();
  REQUIRE(eventually(10s, [&] {
    try {
      return cluster.get("/ping").status == 200;
    } catch (const Error&) {
      return false;
    }
  }));
  std::atomic<int> running{6};
  std::atomic<int> answered{0};
  std::vector<std::jthread> clients;
  for (int i = 0; i < 3; ++i)
    clients.emplace_back([&] {
      for (int k = 0; k < 2; ++k, --running) {
        const TimePoint asked = Clock::now();
        const auto response = cluster.try_get("/query/other?within_ms=1000", 20s);
        answered += response.status == (succeeds ? 200 : 503) && Clock::now() - asked < scaled(1500ms);
      }
    });
  const Duration slowest = slowest_ping(cluster, [&] { return running == 0; });
  for (std::jthread& client : clients) client.join();
  CHECK(answered == 6);
  for (const auto& pool : cluster.ctl_json({"pools"})) {
    if (pool.at("pool") != "other") continue;
    INFO(pool.dump());
    CHECK(pool.at(succeeds ? "connects" : "connect_errors").get<int>() > 0);  // it did meet
  }
  CHECK(slowest < scaled(50ms));
  CHECK(longest_gap(cluster) < scaled(50ms));
  MESSAGE("slowest ping " << to_millis(slowest) << " ms, longest heartbeat gap " << to_millis(longest_gap(cluster)) << " ms");
  check_clean_end(cluster);
}

}  // namespace

TEST_CASE("One worker runs two statements of two seconds at once, and answers pings meanwhile") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.application = "testapp", .workers = "1", .url = server->url()});
  SHOW_LOG_OF(cluster);
  const TimePoint started = Clock::now();
  std::atomic<int> good{0}, running{2};
  std::vector<std::jthread> clients;
  for (int i = 0; i < 2; ++i)
    clients.emplace_back([&] {
      good += cluster.try_get("/sleep/main?seconds=2", 10s).status == 200;
      --running;
    });
  const Duration slowest = slowest_ping(cluster, [&] { return running == 0; });
  const Duration both = Clock::now() - started;
  for (std::jthread& client : clients) client.join();
  CHECK(good == 2);
  CHECK(both >= 2s);
  CHECK(both < 2s + scaled(500ms));
  CHECK(slowest < scaled(50ms));
  CHECK(longest_gap(cluster) < scaled(50ms));
  MESSAGE("both done in " << to_millis(both) << " ms, slowest ping " << to_millis(slowest) << " ms, longest heartbeat gap " << to_millis(longest_gap(cluster))
                          << " ms");
  check_clean_end(cluster, server);
}

TEST_CASE("A server with a full listen backlog does not hold up the loop") {
  FullBacklog full;
  other_pool_meets("postgres://app:x@" + local(full.port) + "/app", false);
}

TEST_CASE("A server that accepts and then says nothing does not hold up the loop") {
  const std::uint16_t port = unused_port();
  const Descriptor silent = listener(port, 64);
  SUBCASE("in plain text") { other_pool_meets("postgres://app:x@" + local(port) + "/app?sslmode=disable", false); }
  SUBCASE("at the start of TLS") { other_pool_meets("postgres://app:x@" + local(port) + "/app?sslmode=require", false); }
}

TEST_CASE("An address that never answers does not hold up the loop") {
  // 192.0.2.1 has no host anywhere, but whether packets to it vanish or an error comes back at once depends on the machine. So this case
  // runs again in a network of its own, where the address is a known neighbour behind a cable that ends nowhere.
  if (!std::getenv("SLUICE_SILENT_NETWORK")) {
    const std::string silent_network =
        "ip link set lo up && ip link add silent type veth peer name nowhere && ip addr add 192.0.2.2/24 dev silent && ip link set silent up && "
        "ip link set nowhere up && ip neigh replace 192.0.2.1 lladdr 02:00:00:00:00:01 dev silent nud permanent";
    const std::vector<std::string> in_it{"/usr/bin/unshare", "-n", "/bin/sh", "-c", silent_network + " && exec \"$@\"", "sh"};
    auto attempt = in_it;
    attempt.push_back("/bin/true");
    if (const Finished tried = execute(attempt); tried.exit_code != 0) {
      if (std::getenv("SLUICE_REQUIRE_SERVERS")) FAIL("needs the right to make a network namespace, and iproute2: " << tried.err);
      MESSAGE("skipped: no right to make a network namespace, or no iproute2");
      return;
    }
    auto again = in_it;
    again.insert(again.end(), {std::filesystem::read_symlink("/proc/self/exe"), "--test-case=An address that never answers*"});
    const Finished there = execute(again, {{"SLUICE_SILENT_NETWORK", "1"}}, 60s);
    INFO(there.out << there.err);
    CHECK(there.exit_code == 0);
    CHECK(there.out.find("1 passed") != std::string::npos);
    return;
  }
  const TimePoint asked = Clock::now();
  Descriptor probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{1, 0};
  ::setsockopt(probe.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(5432);
  ::inet_pton(AF_INET, "192.0.2.1", &address.sin_addr);
  REQUIRE(::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0);
  REQUIRE(Clock::now() - asked > 900ms);  // it truly never answers
  other_pool_meets("postgres://app:x@192.0.2.1:5432/app", false);
}

TEST_CASE("A name server that never answers does not hold up the loop") {
  // The resolver's port is privileged and its address is in a file of the whole machine: a mount namespace of our own has another.
  const Descriptor silent(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  ::inet_pton(AF_INET, "127.88.0.1", &address.sin_addr);
  TemporaryDirectory directory;
  std::ofstream(directory / "resolv.conf") << "nameserver 127.88.0.1\n";
  const std::vector<std::string> own_resolver{"/usr/bin/unshare", "-m", "/bin/sh", "-c", "mount --bind " + (directory / "resolv.conf") + " /etc/resolv.conf && exec \"$@\"", "sh"};
  auto attempt = own_resolver;
  attempt.push_back("/bin/true");
  if (::bind(silent.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || execute(attempt).exit_code != 0) {
    if (std::getenv("SLUICE_REQUIRE_SERVERS")) FAIL("needs the right to make a mount namespace and to bind port 53");
    MESSAGE("skipped: no right to make a mount namespace or to bind port 53");
    return;
  }
  other_pool_meets("postgres://app:x@database.example.com:5432/app", false, {}, own_resolver);
}

TEST_CASE("A name that does not resolve does not hold up the loop") { other_pool_meets("postgres://app:x@no-such-host.invalid:5432/app", false); }

TEST_CASE("TLS handshakes do not hold up the loop") {
  if (!PostgresServer::require()) return;
  PostgresServer server({.max_connections = 20, .ssl = true, .settings = {{"authentication_timeout", "2s"}}});
  server.start();
  // Every lease is the connection's last: each query pays for a handshake.
  other_pool_meets(server.url() + "?sslmode=verify-full&sslrootcert=" + server.ca_file(), true, {"--pools.other.max_uses", "1", "--servers.other.total", "8"});
  CHECK(server.refused() == 0);
}

TEST_CASE("Closing busy connections does not hold up the loop, and the server's statements end") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.application = "testapp", .workers = "1", .url = server->url()});
  SHOW_LOG_OF(cluster);
  std::atomic<int> running{4}, late{0};
  std::vector<std::jthread> clients;
  for (int i = 0; i < 4; ++i)
    clients.emplace_back([&] {
      late += cluster.try_get("/sleep/main?seconds=60&within_ms=300", 10s).status == 503;
      --running;
    });
  const Duration slowest = slowest_ping(cluster, [&] { return running == 0; });
  for (std::jthread& client : clients) client.join();
  CHECK(late == 4);
  CHECK(slowest < scaled(50ms));
  CHECK(longest_gap(cluster) < scaled(50ms));
  CHECK(eventually(2s, [&] {
    const auto all = sessions(*server, cluster);
    return std::none_of(all.begin(), all.end(), [](const auto& s) { return s.state == "active"; });
  }));
  CHECK(wait_agreement(cluster, server, 5s) == "");
  check_clean_end(cluster, server);
}

}  // namespace sluice::test
