// Connecting to MariaDB: what works, what is refused and how, TLS; and that closing leaves nothing.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <filesystem>
#include <thread>

#include "mysql_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::string port_url(int port, const std::string& rest = "/app") { return "mysql://app:secret@127.0.0.1:" + std::to_string(port) + rest; }

// The cipher of a new connection, "" without TLS.
std::string cipher_over(const std::string& url) {
  MysqlClient client(url);
  std::string cipher;
  with_mysql(client, [&cipher](MysqlSession& s) -> awaitable<void> {
    const sql::Rows rows = co_await query(s, "SHOW SESSION STATUS LIKE 'Ssl_cipher'");
    cipher = rows[0][1].as<std::string>();
  });
  return cipher;
}

std::string why_not(const std::string& url, bool permanent) {
  MysqlClient client(url);
  Loop loop;
  const Failure failure = failure_of_connect(loop, client);
  CHECK(failure.permanent == permanent);
  loop.check_responsive();
  return failure.text;
}

// An option of every socket of this process that is connected to this port of the loopback interface.
std::vector<int> socket_options(int port, int level, int option) {
  std::vector<int> found;
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_in peer = {};
    socklen_t size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0 || peer.sin_family != AF_INET || ntohs(peer.sin_port) != port) continue;
    int value = 0;
    size = sizeof value;
    if (::getsockopt(fd, level, option, &value, &size) == 0) found.push_back(value);
  }
  return found;
}

void check_socket_options(int port) {
  for (const auto& [level, option] : {std::pair{SOL_SOCKET, SO_KEEPALIVE}, {IPPROTO_TCP, TCP_NODELAY}}) {
    const std::vector<int> values = socket_options(port, level, option);
    CHECK_FALSE(values.empty());
    for (const int value : values) CHECK(value != 0);
  }
}

bool contains(const std::string& text, const std::string& words) {
  INFO(text);
  CHECK(text.find(words) != std::string::npos);
  return true;
}

}  // namespace

TEST_CASE("MariaDB: a session knows its thread id and the server's start, runs in UTC, strict, and inherits nothing to children") {
  if (!MariaDbServer::require()) return;
  for (const std::string& url : {mariadb().url(), mariadb().socket_url()}) {
    const std::size_t before = open_descriptors();
    MysqlClient client(url);
    with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
      CHECK(s.session != 0);
      CHECK(s.session_birth != 0);
      CHECK(s.mariadb());
      const sql::Rows rows = co_await query(s, "SELECT CONNECTION_ID(), @@time_zone, @@sql_mode, DATABASE()");
      CHECK(rows[0][0].as<std::uint64_t>() == s.session);
      CHECK(rows[0][1].as<std::string>() == "+00:00");
      CHECK(rows[0][2].as<std::string>().find("STRICT_ALL_TABLES") != std::string::npos);
      CHECK(rows[0][3].as<std::string>() == "app");
    });
    CHECK(open_descriptors() == before);
  }
}

TEST_CASE("TCP keep-alive and no delay are set on the sockets of the network drivers") {
  if (!MariaDbServer::require() || !PostgresServer::require()) return;
  MysqlClient client;
  with_mysql(client, [](MysqlSession&) -> awaitable<void> {
    check_socket_options(mariadb().port());
    co_return;
  });
  Client other;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<postgres::PostgresSession> session = co_await other.connect();
    check_socket_options(server().port());
    co_await other.close(std::move(session));
  });
}

TEST_CASE("MariaDB: a refused connect tells cause and remedy, never the password, and whether the server may hold something") {
  if (!MariaDbServer::require()) return;
  Loop loop;
  MysqlClient wrong(mariadb().url("app", "hunter2"));
  const Failure password = failure_of_connect(loop, wrong);
  CHECK(password.permanent);
  CHECK_FALSE(password.released);
  contains(password.text, "1045");
  contains(password.text, "check user, password");
  CHECK(password.text.find("hunter2") == std::string::npos);
  contains(why_not(mariadb().url("app", "secret", "nowhere"), true), "1044");
  MysqlClient nobody(port_url(free_port()));
  const Failure down = failure_of_connect(loop, nobody);
  CHECK(down.released);
  CHECK_FALSE(down.permanent);
  contains(down.text, "is the server running");
  MysqlClient unresolved("mysql://app:secret@no-such-host.invalid/app");
  const Failure name = failure_of_connect(loop, unresolved);
  CHECK(name.released);
  contains(name.text, "no-such-host.invalid");
  contains(why_not("mysql://app:secret@/app?socket=/nowhere/s.sock", false), "/nowhere/s.sock");
}

TEST_CASE("MariaDB: a server without a free slot is told as such, and holds nothing of the attempt") {
  if (!MariaDbServer::require()) return;
  MariaDbOptions options;
  options.max_connections = 10;  // its least
  MariaDbServer small(options);
  small.start();
  MysqlClient client(small.url());
  Loop loop;
  std::vector<std::unique_ptr<MysqlSession>> held;
  loop.run([&]() -> awaitable<void> {
    for (int i = 0; i < 10; ++i) {
      std::unique_ptr<MysqlSession> s = co_await client.connect();
      held.push_back(std::move(s));
    }
  });
  const Failure full = failure_of_connect(loop, client);
  CHECK(full.released);
  CHECK_FALSE(full.permanent);
  contains(full.text, "lower servers.<name>.total");
  loop.run([&]() -> awaitable<void> {
    for (auto& s : held) co_await client.close(std::move(s));
  });
}

TEST_CASE("MariaDB: a server that never answers ends the connect at its deadline, and the loop turns meanwhile") {
  for (const Listener::Kind kind : {Listener::Kind::silent, Listener::Kind::full}) {
    const Listener listener(kind);
    std::string url = listener.url();
    url.replace(0, url.find("://"), "mysql");
    MysqlClient client(url);
    Loop loop;
    const TimePoint begin = Clock::now();
    const Failure failure = failure_of_connect(loop, client, 1s);
    CHECK(Clock::now() - begin < scaled(1s) + 2s);
    CHECK(failure.text != "it connected");
    loop.check_responsive();
  }
}

TEST_CASE("MariaDB: a cancelled connect leaves no session") {
  if (!MariaDbServer::require()) return;
  const auto threads = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); };
  std::thread([] {}).join();  // thread sanitizer adds one of its own with the first
  const auto before = threads();
  MariaDbOptions secure;
  secure.ssl = true;
  MariaDbServer server(secure);
  server.start();
  MysqlClient client(server.url());
  Loop loop;
  for (int i = 0; i < 10; ++i) {
    loop.run([&]() -> awaitable<void> {
      asio::cancellation_signal cancel;
      bool ended = false;
      std::unique_ptr<MysqlSession> kept;
      asio::co_spawn(loop.context(), client.connect(),
                     asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr, std::unique_ptr<MysqlSession> s) {
                       kept = std::move(s);
                       ended = true;
                     }));
      const auto executor = co_await asio::this_coro::executor;
      asio::steady_timer poll(executor, std::chrono::microseconds(i * 300));
      co_await poll.async_wait(use_awaitable);
      cancel.emit(asio::cancellation_type::terminal);
      while (!ended) {
        poll.expires_after(1ms);
        co_await poll.async_wait(use_awaitable);
      }
      if (kept) co_await client.close(std::move(kept));
    });
  }
  // What was given up goes on on threads of its own; busy with TLS, they would keep the next test waiting.
  CHECK(eventually(10s, [&] { return threads() <= before; }));
  CHECK(eventually(5s, [&] { return server.sessions().empty(); }));
}

TEST_CASE("MariaDB: TLS with full verification accepts the right server and refuses the wrong name and a strange authority") {
  if (!MariaDbServer::require()) return;
  const std::string port = std::to_string(mariadb().port()), ca = mariadb().ca_file();
  const std::string login = "mysql://app:secret@";
  CHECK_FALSE(cipher_over(login + "localhost:" + port + "/app?sslmode=verify-full&sslrootcert=" + ca).empty());
  CHECK_FALSE(cipher_over(login + "127.0.0.1:" + port + "/app?sslmode=verify-full&sslrootcert=" + ca).empty());
  CHECK_FALSE(cipher_over(login + "127.0.0.1:" + port + "/app?sslmode=verify-ca&sslrootcert=" + ca).empty());
  config::Pool options = pool_options(mariadb().url());
  options.tls_mode = "verify-full";
  options.tls_ca = ca;
  MysqlClient by_options(options);
  with_mysql(by_options, [](MysqlSession& s) -> awaitable<void> {
    const std::string big(3 << 20, 'x');
    const sql::Rows rows = co_await query(s, "SELECT $1", big);
    CHECK(rows[0][0].as<std::string>() == big);
  });
  // 127.0.0.2 is the same server by a name that is not in its certificate.
  MariaDbOptions everywhere;
  everywhere.ssl = true;
  everywhere.settings["bind-address"] = "0.0.0.0";
  MariaDbServer other(everywhere);
  other.start();
  const std::string other_port = std::to_string(other.port());
  CHECK_FALSE(cipher_over(login + "127.0.0.2:" + other_port + "/app?sslmode=verify-ca&sslrootcert=" + other.ca_file()).empty());
  contains(why_not(login + "127.0.0.2:" + other_port + "/app?sslmode=verify-full&sslrootcert=" + other.ca_file(), true), "2026");
  contains(why_not(login + "localhost:" + other_port + "/app?sslmode=verify-full&sslrootcert=" + ca, true), "2026");
  contains(why_not(login + "localhost:" + other_port + "/app?sslmode=verify-ca&sslrootcert=" + ca, true), "2026");
  contains(why_not(login + "localhost:" + port + "/app?sslmode=verify-full", true), "2026");  // no authority known
  contains(why_not(login + "localhost:" + port + "/app?sslmode=verify-full&sslrootcert=/nowhere.pem", true), "2026");
}

TEST_CASE("MariaDB: without a TLS mode TLS is used if the server has it, and plain otherwise; require insists") {
  if (!MariaDbServer::require()) return;
  CHECK_FALSE(cipher_over(mariadb().url()).empty());
  CHECK_FALSE(cipher_over(mariadb().url() + "?sslmode=require").empty());
  CHECK(cipher_over(mariadb().url() + "?sslmode=disable").empty());
  CHECK(cipher_over(mariadb().socket_url()).empty());
  MariaDbServer plain;
  plain.start();
  CHECK(cipher_over(plain.url()).empty());
  contains(why_not(plain.url() + "?sslmode=require", true), "offers no TLS");
  contains(why_not(plain.url() + "?sslmode=verify-full&sslrootcert=" + mariadb().ca_file(), true), "TLS");
  contains(why_not(plain.url() + "?sslmode=verify-ca&sslrootcert=" + mariadb().ca_file(), true), "TLS");
}

TEST_CASE("MariaDB: statements over TLS keep their deadlines, and the loop turns") {
  if (!MariaDbServer::require()) return;
  MysqlClient client(mariadb().url() + "?sslmode=require");
  with_mysql(client, [](MysqlSession& s) -> awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      sql::Statement statement("SELECT SLEEP(60)", {});
      bool late = false;
      try {
        co_await s.run(std::move(statement), Deadline::after(100ms));
      } catch (const TimedOut&) {
        late = true;
      }
      CHECK(late);
      CHECK_FALSE(s.broken);
      const sql::Rows rows = co_await query(s, "SELECT $1", i);
      CHECK(rows[0][0].as<int>() == i);
    }
  });
}

TEST_CASE("MariaDB: a close says goodbye in order, never claims a proof, and the thread is gone soon, rollbacks included") {
  if (!MariaDbServer::require()) return;
  MysqlClient client;
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    const std::uint64_t aborted = mariadb().status("Aborted_clients");
    std::unique_ptr<MysqlSession> s = co_await client.connect();
    const std::uint64_t thread = s->session;
    co_await query(*s, "CREATE OR REPLACE TABLE heavy (b VARCHAR(200)) ENGINE=InnoDB");
    co_await s->begin({}, Deadline::never());
    co_await query(*s, "INSERT INTO heavy SELECT REPEAT('x', 100) FROM seq_1_to_50000");
    const pool::CloseResult result = co_await client.close(std::move(s), 20s);
    CHECK(result == pool::CloseResult::unconfirmed);
    CHECK(eventually(5s, [thread] { return !shows(mariadb(), thread); }));
    CHECK(mariadb().status("Aborted_clients") == aborted);
    CHECK(mariadb().query("SELECT COUNT(*) FROM heavy")[0][0] == "0");
  });
  loop.check_responsive();
}
