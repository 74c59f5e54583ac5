// Connects under one governor: a database that comes back meets no storm, and one that is down meets one prober at a time.
#include "fixture.hpp"

#include <sluice/core/descriptor.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <regex>
#include <sstream>
#include <thread>

namespace sluice::test {
namespace {

constexpr std::size_t max_connecting = 2;  // the default
constexpr int janitor_slot = 65535;

// ---- what a PostgreSQL says of its connects

// One connection, from the log's "received" on. What the log shows of it lies within the time in which the client connects: the server
// reports it after the client's first packet and is done with it before the client knows. So connects that overlap here did overlap; of
// others the log cannot tell. It shows no connect that met no listener, and of one that was let go without a word (a client that
// tries TLS first, a server that stops at once) only the beginning. Who it was is known of those that were let in.
struct Connect {
  std::int64_t begun = 0, ended = 0;  // milliseconds; the clock's own resolution
  bool rejected = false;              // the server was not ready for it
  std::optional<int> slot = {};
};

struct Connects {
  std::vector<Connect> all;

  int count(bool (*which)(const Connect&)) const { return static_cast<int>(std::count_if(all.begin(), all.end(), which)); }
  // The most that workers can be shown to have had under way at once. The janitor connects with a permit of its own and asks no governor: it
  // is known where it was let in; elsewhere one of those without a name may be its.
  std::size_t most_at_once(bool (*which)(const Connect&)) const {
    std::size_t most = 0;
    for (const Connect& one : all) {
      std::size_t workers = 0, nameless = 0;
      bool janitor = false;
      if (!which(one)) continue;
      for (const Connect& other : all) {
        const bool under_way = other.begun <= one.begun && one.begun < other.ended;
        if (!which(other) || (!under_way && &other != &one)) continue;
        if (!other.slot)
          ++nameless;
        else if (*other.slot == janitor_slot)
          janitor = true;
        else
          ++workers;
      }
      most = std::max(most, workers + nameless - (nameless > 0 && !janitor ? 1 : 0));
    }
    return most;
  }
};

Connects connects_in(const std::string& log) {
  static const std::regex line(R"(^(\d+)\.(\d+) \[(\d+)\] (.*)$)"), life(R"(application_name=\S+:(\d+)\.\d+)");
  Connects out;
  std::map<std::string, Connect> begun;  // by process
  const auto end = [&](std::map<std::string, Connect>::iterator it, std::int64_t at) {
    it->second.ended = at;
    out.all.push_back(it->second);
    begun.erase(it);
  };
  std::istringstream lines(log);
  for (std::string text; std::getline(lines, text);) {
    std::smatch m;
    if (!std::regex_match(text, m, line)) continue;
    const std::int64_t at = std::stoll(m[1]) * 1000 + std::stoll(m[2]);
    const std::string process = m[3], words = m[4];
    auto it = begun.find(process);
    if (words.find("connection received: host=127.0.0.1") != std::string::npos) {  // the tests' own come by the Unix socket
      if (it != begun.end()) end(it, it->second.begun);
      begun[process] = {.begun = at};
    } else if (it != begun.end() && words.find("connection authorized") != std::string::npos) {
      if (std::smatch who; std::regex_search(words, who, life)) it->second.slot = std::stoi(who[1]);
      end(it, at);
    } else if (it != begun.end() && words.find("FATAL") != std::string::npos) {
      it->second.rejected = true;
      end(it, at);
    }
  }
  while (!begun.empty()) end(begun.begin(), begun.begin()->second.begun);
  return out;
}

// ---- a database that is down in its own way

// Accepts, listens to who it is, keeps silent for a while, so that those who come together are seen together, and hangs up.
class Refuser {
 public:
  struct Visit {
    TimePoint begun, ended = TimePoint::max();
    std::string greeting = {};  // the client's first packet
    bool janitor() const { return greeting.find(":" + std::to_string(janitor_slot) + ".") != std::string::npos; }
  };

  Refuser() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listener_.get(), raw, size) == 0);
    REQUIRE(::listen(listener_.get(), 64) == 0);
    REQUIRE(::getsockname(listener_.get(), raw, &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](std::stop_token stop) {
      while (!stop.stop_requested()) serve();
    });
  }
  std::uint16_t port() const noexcept { return port_; }
  // Of workers, those that are over.
  std::vector<Visit> visits() const {
    const std::lock_guard lock(mutex_);
    return visits_;
  }

 private:
  static constexpr Duration silence = 40ms;
  struct Guest {
    Descriptor socket;
    Visit visit;
  };

  void serve() {
    pollfd waiting{listener_.get(), POLLIN, 0};
    ::poll(&waiting, 1, 5);
    while (Descriptor socket{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)}) guests_.push_back({std::move(socket), {.begun = Clock::now()}});
    for (auto it = guests_.begin(); it != guests_.end();) {
      Visit& visit = it->visit;
      char packet[1024];
      const ssize_t n = ::recv(it->socket.get(), packet, sizeof packet, 0);
      if (n > 0) visit.greeting.append(packet, static_cast<std::size_t>(n));
      if (n != 0 && (visit.greeting.empty() || Clock::now() - visit.begun < silence)) {
        ++it;
        continue;
      }
      visit.ended = Clock::now();  // before anybody can know
      if (const std::lock_guard lock(mutex_); !visit.janitor()) visits_.push_back(visit);
      it = guests_.erase(it);
    }
  }

  Descriptor listener_;
  std::uint16_t port_ = 0;
  std::list<Guest> guests_;
  mutable std::mutex mutex_;
  std::vector<Visit> visits_;
  std::jthread thread_;
};

}  // namespace

TEST_CASE("A database that restarts under 16 full pools meets at most max_connecting connects at once, and all come back") {
  if (!PostgresServer::require()) return;
  // After a restart it recovers as from a backup, which takes longer than the backoff: who connects meanwhile is rejected.
  PostgresServer server({.max_connections = 100,
                         .settings = {{"log_connections", "on"}, {"log_line_prefix", "%n [%p] "}, {"authentication_timeout", "2s"},
                                      {"hot_standby", "off"}, {"restore_command", "sleep 1; false"}}});
  server.start();
  Cluster cluster({.application = "testapp", .workers = "16", .url = server.url(),
                   .flags = {"--pools.main.min_idle", "5", "--pools.main.keepalive", "500ms", "--pools.main.connect_backoff_max", "500ms"}});
  SHOW_LOG_OF(cluster);
  const auto full = [&] {
    const auto held = held_by_slot(cluster);
    return std::count_if(held.begin(), held.end(), [](auto& h) { return h.second == 5; }) == 12 &&
           std::count_if(held.begin(), held.end(), [](auto& h) { return h.second == 4; }) == 4;
  };
  REQUIRE(cluster.ctl_json({"status"}).at("servers").at(0).at("budget") == 77);
  REQUIRE(eventually(20s, full));
  CHECK(wait_agreement(cluster, &server, 5s) == "");
  const auto any = [](const Connect&) { return true; };
  const auto rejected = [](const Connect& c) { return c.rejected; };
  const auto let_in = [](const Connect& c) { return c.slot && *c.slot != janitor_slot; };
  for (const auto mode : {PostgresServer::Stop::fast, PostgresServer::Stop::immediate}) {
    CAPTURE(static_cast<int>(mode));
    const std::size_t before = server.log().size();
    server.stop(mode);
    CHECK(eventually(10s, [&] { return cluster.admin_get("/readyz").status == 503; }));
    const std::size_t down = server.log().size();
    std::ofstream(server.directory() + "/data/recovery.signal");
    server.start();
    const TimePoint back = Clock::now();
    CHECK(eventually(30s, [&] { return full() && wait_agreement(cluster, &server, 100ms) == ""; }));
    const std::string log = server.log();
    const Connects connects = connects_in(log.substr(before)), coming_up = connects_in(log.substr(down));
    MESSAGE(connects.all.size() << " connects, " << connects.count(rejected) << " of them rejected, " << connects.count(let_in) << " of workers let in, at most "
                                << connects.most_at_once(any) << " at once, all back after " << to_millis(Clock::now() - back) << " ms");
    CHECK(connects.count(let_in) >= 76);
    CHECK(connects.all.size() <= 120);  // no storm: hardly a connect more than needed
    CHECK(connects.most_at_once(any) <= max_connecting);
    // By then all know that it is down: who is rejected while it comes up is the one prober.
    CHECK(coming_up.count(rejected) > 0);
    CHECK(coming_up.most_at_once(rejected) <= 1);
    CHECK(server.refused() == 0);
  }
  CHECK(eventually(10s, [&] { return cluster.admin_get("/readyz").status == 200; }));
  for (const auto& worker : cluster.workers()) CHECK(worker.at("generation") == 1);
  check_clean_end(cluster, &server);
}

TEST_CASE("A database that is down meets one connect at a time of 8 workers, and not before the backoff has passed") {
  constexpr auto backoff = 100ms;
  const Refuser refuser;
  Cluster cluster({.application = "testapp", .workers = "8", .url = "postgres://app:secret@" + local(refuser.port()) + "/app?sslmode=disable",
                   .flags = {"--servers.main.total", "33", "--pools.main.min_idle", "4", "--pools.main.connect_backoff_min", "100ms",
                             "--pools.main.connect_backoff_max", "200ms"},
                   .wait_ready = false});
  SHOW_LOG_OF(cluster);
  REQUIRE(eventually(20s, [&] { return refuser.visits().size() >= 20; }));
  const auto visits = refuser.visits();
  // The first ones begin as on any day; but nobody whose connect has failed makes room before that is known to all.
  for (std::size_t i = max_connecting; i < visits.size(); ++i) {
    const auto pause = visits[i].begun - visits[i - 1].ended;
    CHECK_MESSAGE(pause >= backoff, "connect " << i << " begins " << to_millis(pause) << " ms after the end of the one before");
  }
  std::map<std::string, int> probers;
  for (const auto& visit : visits) ++probers[visit.greeting];
  CHECK(probers.size() > 1);  // it is not always the same worker
  MESSAGE(visits.size() << " connects by " << probers.size() << " workers in " << to_millis(visits.back().begun - visits.front().begun) << " ms");
  check_clean_end(cluster);
}

}  // namespace sluice::test
