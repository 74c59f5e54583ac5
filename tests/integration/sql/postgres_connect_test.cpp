// Who connects, how it fails, and that nothing of a failed connect stays on the server or blocks the loop.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <fstream>

#include "fixture.hpp"

using namespace sluice;
using namespace sluice::test;
using Session = postgres::PostgresSession;

namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

bool nobody_left() {
  return eventually(2s, [] { return server().sessions("shop@test.").empty(); });
}

}  // namespace

TEST_CASE("The server shows who connected, under the process id and birth that the connection knows") {
  if (!PostgresServer::require()) return;
  const config::Pool options = pool_options(server().url());
  Client client(options, identity(7));
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<Session> session = co_await client.connect();
    const auto seen = server().sessions("shop@test.");
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].application_name == "shop@test.0badcafe:7.1");
    CHECK(static_cast<std::uint64_t>(seen[0].pid) == session->session);
    CHECK(seen[0].birth == session->session_birth);
    const sql::Rows rows = co_await query(*session, "SELECT current_setting('client_connection_check_interval'), current_setting('client_encoding')");
    CHECK(rows[0][0].as<std::string>() == "500ms");
    CHECK(rows[0][1].as<std::string>() == "UTF8");
    const bool gone = co_await client.close(std::move(session));
    CHECK(gone);
  });
  loop.check_responsive();
}

TEST_CASE("Unix sockets, names and the url's own options work") {
  if (!PostgresServer::require()) return;
  const std::string port = std::to_string(server().port());
  for (const std::string& url :
       {server().socket_url(), "postgresql://app:secret@localhost:" + port + "/app", server().url() + "?options=-c%20work_mem%3D1MB"}) {
    CAPTURE(url);
    Client client(url);
    Loop loop;
    loop.run([&]() -> awaitable<void> {
      std::unique_ptr<Session> session = co_await client.connect();
      const sql::Rows rows = co_await query(*session, "SELECT current_setting('work_mem'), current_setting('client_connection_check_interval')");
      CHECK((rows[0][0].as<std::string>() == "1MB") == has(url, "work_mem"));
      CHECK(rows[0][1].as<std::string>() == "500ms");
      const bool gone = co_await client.close(std::move(session));
      CHECK(gone);
    });
    loop.check_responsive();
  }
}

TEST_CASE("A refused login names place, cause and remedy, is permanent, leaves nothing, and shows no password") {
  if (!PostgresServer::require()) return;
  struct Expected {
    std::string url, cause;
  };
  const Expected expected[] = {{server().url("app", "hunter2"), "password authentication failed"},
                               {server().url("app", "hunter2x", "app"), "28P01"},
                               {server().url("app", "secret", "nowhere"), "database \"nowhere\" does not exist"},
                               {server().url("ghost", "hunter2"), "password authentication failed for user \"ghost\""}};
  for (const Expected& e : expected) {
    Client client(e.url);
    Loop loop;
    const Failure failure = failure_of_connect(loop, client);
    CAPTURE(failure.text);
    CHECK(has(failure.text, e.cause.c_str()));
    CHECK(has(failure.text, "127.0.0.1:"));
    CHECK(has(failure.text, "url"));
    CHECK_FALSE(has(failure.text, "hunter2"));
    CHECK(failure.permanent);
    CHECK(failure.released);
    loop.check_responsive();
  }
  CHECK(nobody_left());
}

TEST_CASE("A port where nobody listens is refused at once: nothing is left, and it may get better") {
  Client client("postgresql://app:secret@127.0.0.1:" + std::to_string(free_port()) + "/app");
  Loop loop;
  const Failure failure = failure_of_connect(loop, client);
  CAPTURE(failure.text);
  CHECK(has(failure.text, "Connection refused; is the server running"));
  CHECK(failure.released);
  CHECK_FALSE(failure.permanent);
}

TEST_CASE("An unknown name fails with the name, and the loop turns meanwhile") {
  Client client("postgresql://app@no-such-host.invalid/app");
  Loop loop;
  const Failure failure = failure_of_connect(loop, client, 2s);
  CAPTURE(failure.text);
  CHECK(has(failure.text, "no-such-host.invalid"));
  CHECK(failure.released);
  loop.check_responsive();
}

TEST_CASE("A server that never answers ends the connect at its deadline; the loop turns, the verdict depends on the handshake") {
  struct Expected {
    Listener::Kind kind;
    const char* query;
    const char* cause;
    bool released;
  };
  const Expected expected[] = {{Listener::Kind::full, "", "no answer before the deadline", true},
                               {Listener::Kind::silent, "?sslmode=disable", "did not complete the login", false},
                               {Listener::Kind::silent, "?sslmode=require", "did not complete the TLS handshake", false}};
  for (const Expected& e : expected) {
    const Listener listener(e.kind);
    config::Pool options = pool_options(listener.url(e.query));
    options.close_timeout = 200ms;
    Client client(options);
    Loop loop;
    const TimePoint begin = Clock::now();
    const Failure failure = failure_of_connect(loop, client, 300ms);
    CAPTURE(failure.text);
    CHECK(has(failure.text, e.cause));
    CHECK(failure.released == e.released);
    CHECK(Clock::now() - begin < scaled(1s));
    loop.check_responsive();
  }
}

TEST_CASE("A server that stops in the middle of a TLS handshake does not block the loop") {
  ScriptedServer half({[](int socket) {
    read_packet(socket);
    ::send(socket, "S", 1, MSG_NOSIGNAL);
    read_to_end(socket);
  }});
  Client client(half.url("?sslmode=require"));
  Loop loop;
  const Failure failure = failure_of_connect(loop, client, 300ms);
  CAPTURE(failure.text);
  CHECK(has(failure.text, "TLS handshake"));
  CHECK(failure.released);  // it closed in good order when it saw our end of stream
  loop.check_responsive();
}

TEST_CASE("A reset proves nothing about the server's session") {
  ScriptedServer rude({[](int socket) {
    read_packet(socket);
    const linger at_once{1, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }});
  Client client(rude.url("?sslmode=disable"));
  Loop loop;
  const Failure failure = failure_of_connect(loop, client);
  CAPTURE(failure.text);
  CHECK_FALSE(failure.released);
  CHECK_FALSE(failure.permanent);
}

TEST_CASE("A server or pooler that refuses startup options is asked again without them") {
  const auto startup = std::make_shared<std::vector<std::string>>();
  std::optional<ScriptedServer> pooler(std::in_place, std::vector<std::function<void(int)>>{[startup](int socket) {
                           startup->push_back(read_packet(socket));
                           const std::string fields("SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: options\0\0", 62);
                           const std::string answer = std::string("E\0\0\0", 4) + static_cast<char>(fields.size() + 4) + fields;
                           ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
                           read_to_end(socket);
                         },
                         [startup](int socket) { startup->push_back(read_packet(socket)); }});
  Client client(pooler->url("?sslmode=disable"));
  Loop loop;
  failure_of_connect(loop, client);
  pooler.reset();  // its thread has written what is read here
  REQUIRE(startup->size() == 2);
  CHECK(has((*startup)[0], "client_connection_check_interval"));
  CHECK_FALSE(has((*startup)[1], "client_connection_check_interval"));
}

TEST_CASE("A cancelled connect leaves nothing on the server") {
  if (!PostgresServer::require()) return;
  Client client;
  for (int turns = 0; turns < 12; ++turns) {
    CAPTURE(turns);
    Loop loop;
    std::optional<bool> released;
    bool connected = false;
    loop.run([&]() -> awaitable<void> {
      asio::cancellation_signal cancel;
      bool ended = false;
      asio::co_spawn(loop.context(), client.connector().connect(Deadline::after(scaled(5s))),
                     asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr e, std::unique_ptr<pool::Connection> c) {
                       ended = true;
                       connected = c != nullptr;
                       try {
                         if (e) std::rethrow_exception(e);
                       } catch (const pool::ConnectFailed& failed) {
                         released = failed.released();
                       } catch (const std::exception&) {
                       }
                     }));
      const auto executor = co_await asio::this_coro::executor;
      for (int i = 0; i < turns * 3 && !ended; ++i) co_await asio::post(executor, use_awaitable);
      cancel.emit(asio::cancellation_type::terminal);
      asio::steady_timer poll(executor);
      while (!ended) {
        poll.expires_after(1ms);
        co_await poll.async_wait(use_awaitable);
      }
    });
    if (released) CHECK(*released);
    CHECK((released.has_value() || connected || turns == 0));
  }
  CHECK(nobody_left());
}

TEST_CASE("TLS with full verification accepts the right server and refuses the wrong name and a strange authority") {
  if (!PostgresServer::require()) return;
  config::Pool options = pool_options("postgresql://app:secret@localhost:" + std::to_string(server().port()) + "/app");
  options.tls_mode = "verify-full";
  options.tls_ca = server().ca_file();
  {
    Client client(options);
    Loop loop;
    loop.run([&]() -> awaitable<void> {
      // Often enough to meet a server that answers the close with a reset.
      for (int i = 0; i < 30; ++i) {
        std::unique_ptr<Session> session = co_await client.connect();
        const sql::Rows rows = co_await query(*session, "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
        CHECK(rows[0][0].as<bool>());
        const bool gone = co_await client.close(std::move(session));
        CHECK(gone);
      }
    });
    loop.check_responsive();
  }
  const std::string directory = server().directory() + "/elsewhere";
  std::filesystem::create_directories(directory);
  make_certificates(directory, "DNS:localhost");
  config::Pool strange = options;
  strange.tls_ca = directory + "/ca.pem";
  config::Pool misnamed = options;
  misnamed.url = "postgresql://app:secret@127.0.0.2:" + std::to_string(server().port()) + "/app?hostaddr=127.0.0.1";
  config::Pool missing = options;
  missing.tls_ca = directory + "/none.pem";
  const std::pair<const config::Pool*, const char*> refused[] = {
      {&strange, "certificate verify failed"}, {&misnamed, "does not match host name"}, {&missing, "none.pem"}};
  for (const auto& [pool, cause] : refused) {
    Client client(*pool);
    Loop loop;
    const Failure failure = failure_of_connect(loop, client);
    CAPTURE(failure.text);
    CHECK(has(failure.text, cause));
    CHECK(failure.released);
    loop.check_responsive();
  }
  CHECK(nobody_left());
}

TEST_CASE("Without a TLS mode TLS is used if the server has it, and plain otherwise; require insists") {
  if (!PostgresServer::require()) return;
  const auto uses_tls = [](const std::string& url) {
    Client client(url);
    Loop loop;
    bool tls = false;
    loop.run([&]() -> awaitable<void> {
      std::unique_ptr<Session> session = co_await client.connect();
      const sql::Rows rows = co_await query(*session, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
      tls = rows[0][0].as<bool>();
      const bool gone = co_await client.close(std::move(session));
      CHECK(gone);
    });
    return tls;
  };
  CHECK(uses_tls(server().url()));
  CHECK_FALSE(uses_tls(server().url() + "?sslmode=disable"));
  PostgresServer plain;
  plain.start();
  CHECK_FALSE(uses_tls(plain.url()));
  Client insists(plain.url() + "?sslmode=require");
  Loop loop;
  const Failure failure = failure_of_connect(loop, insists);
  CHECK(has(failure.text, "server does not support SSL"));
  CHECK(failure.released);
}

TEST_CASE("A hundred connects and closes on the last free slot are never refused") {
  if (!PostgresServer::require()) return;
  PostgresOptions few;
  few.max_connections = 5;
  few.settings["superuser_reserved_connections"] = "3";
  PostgresServer tight(few);
  tight.start();
  Client client(tight.url());
  Loop loop;
  loop.run([&]() -> awaitable<void> {
    std::unique_ptr<Session> kept = co_await client.connect();
    for (int i = 0; i < 100; ++i) {
      std::unique_ptr<Session> session = co_await client.connect();
      // A process with something to tidy up ends slowly.
      if (i % 10 == 0) co_await session->run_script("CREATE TEMP TABLE t AS SELECT generate_series(1, 5000) AS i", Deadline::never());
      const bool gone = co_await client.close(std::move(session));
      REQUIRE(gone);
    }
    // The proof that the slot was the last one.
    std::unique_ptr<Session> last = co_await client.connect();
    std::optional<pool::ConnectFailed> full;
    try {
      std::unique_ptr<Session> extra = co_await client.connect();
    } catch (const pool::ConnectFailed& e) {
      full = e;
    }
    REQUIRE(full);
    CHECK(has(full->what(), "53300"));
    CHECK(full->released());
    CHECK_FALSE(full->permanent());
    co_await client.close(std::move(last));
    co_await client.close(std::move(kept));
  });
  // prefer: the refused one came over TLS or not, but once.
  CHECK(tight.refused() == 1);
}

TEST_CASE("Connections, good and failed, leave no descriptor open and none that a child would inherit") {
  if (!PostgresServer::require()) return;
  const auto sockets = [] {  // by descriptor
    std::map<int, std::string> open;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
      if (!gone && has(target, "socket:")) open.emplace(std::atoi(entry.path().filename().c_str()), target);
    }
    return open;
  };
  const auto of_others = sockets();  // other tests' own clients
  const auto round = [&] {
    Loop loop;
    Client good, wrong(server().url("app", "wrong"));
    loop.run([&]() -> awaitable<void> {
      std::unique_ptr<Session> session = co_await good.connect();
      int ours = 0;
      for (const auto& socket : sockets()) {
        const auto known = of_others.find(socket.first);
        if (known != of_others.end() && known->second == socket.second) continue;
        CAPTURE(socket.second);
        CHECK((::fcntl(socket.first, F_GETFD) & FD_CLOEXEC) != 0);
        ++ours;
      }
      CHECK(ours > 0);
      co_await query(*session, "SELECT 1");
      co_await good.close(std::move(session));
    });
    failure_of_connect(loop, wrong);
  };
  round();  // what libraries open once
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 5; ++i) round();
  CHECK(open_descriptors() == before);
}

// Runs in a process with a mount namespace of its own, see below.
TEST_CASE("dead resolver: part of the next test" * doctest::skip(!std::getenv("SLUICE_DEAD_RESOLVER"))) {
  Client client("postgresql://app@db.example.org/app");
  Loop loop;
  const TimePoint begin = Clock::now();
  const Failure failure = failure_of_connect(loop, client, 500ms);
  CAPTURE(failure.text);
  CHECK(has(failure.text, "was not resolved before the deadline"));
  CHECK(failure.released);
  CHECK(Clock::now() - begin < scaled(1s));
  loop.check_responsive();
  std::_Exit(doctest::getContextOptions()->currentTest && has(failure.text, "was not resolved") && loop.worst_gap() < scaled(50ms) ? 0 : 1);
}

TEST_CASE("A name server that never answers ends the connect at its deadline and does not block the loop") {
  const std::string file = std::filesystem::temp_directory_path() / ("sluice-resolv-" + std::to_string(::getpid()));
  std::ofstream(file) << "nameserver 127.9.9.53\n";
  const int silent = ::socket(AF_INET, SOCK_DGRAM, 0);  // inherited on purpose: it must outlive the exec
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  ::inet_pton(AF_INET, "127.9.9.53", &address.sin_addr);
  const bool bound = ::bind(silent, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  const char* const arguments[] = {"/proc/self/exe", "--test-case=dead resolver*", "--no-skip", nullptr};
  const pid_t child = bound ? ::fork() : -1;
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount(file.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) != 0) {
      ::_exit(77);
    }
    ::setenv("SLUICE_DEAD_RESOLVER", "1", 1);
    ::execv(arguments[0], const_cast<char* const*>(arguments));
    ::_exit(77);
  }
  int status = 0;
  if (child > 0) ::waitpid(child, &status, 0);
  ::close(silent);
  std::filesystem::remove(file);
  if (child < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 77)) {
    MESSAGE("SKIP: no right to a mount namespace and port 53 of 127.9.9.53 (needs root)");
    return;
  }
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
