#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "databases.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// What becomes of a server's words after its client has said `word`.
struct Meddling {
  std::string word;
  std::string before = {};               // comes first
  std::size_t most = std::string::npos;  // so many bytes of them still come; then both connections end
  std::string* heard = nullptr;          // with it; to be read when the relay is gone
};

// Passes on what the client and the server on this port say, with one change.
std::function<void(int)> meddle(int port, Meddling how) {
  return [port, how = std::move(how)](int client) {
    if (client < 0) return;
    const int upstream = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (::connect(upstream, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return;
    bool asked = false, due = false;
    std::size_t left = how.most;
    std::string buffer(65536, '\0');
    for (;;) {
      pollfd both[] = {{client, POLLIN, 0}, {upstream, POLLIN, 0}};
      if (::poll(both, 2, 30'000) <= 0) break;
      const bool from_client = both[0].revents != 0;
      const ssize_t n = ::recv(from_client ? client : upstream, buffer.data(), buffer.size(), 0);
      if (n <= 0) break;
      std::string_view said(buffer.data(), static_cast<std::size_t>(n));
      if (from_client && !asked && said.find(how.word) != said.npos) {
        asked = due = true;
        if (how.heard) *how.heard = said;
      }
      if (!from_client && asked) {
        if (std::exchange(due, false)) ::send(client, how.before.data(), how.before.size(), MSG_NOSIGNAL);
        said = said.substr(0, left);
        if (left != std::string::npos) left -= said.size();
      }
      if (::send(from_client ? upstream : client, said.data(), said.size(), MSG_NOSIGNAL) < 0) break;
      if (asked && left == 0) break;
    }
    ::close(upstream);
  };
}

// Who notices that a connection has come to nothing: the driver, or only the deadline.
enum class Noticed { at_once, by_deadline };

enum class Run { first, third };  // PostgreSQL's: a third one goes past libpq

// The statement, which holds 'a surprise' (in its parameter, if it has one), fails with a typed error; its connection is closed, and the next
// statement has another one.
void check_given_up(int port, const std::string& scheme, const Meddling& how, const std::string& statement, Noticed noticed = Noticed::at_once,
                    Run run = Run::first) {
  // PostgreSQL's pool asks to cancel what it closes, on a connection of its own; so there may be three.
  ScriptedServer relay({meddle(port, how), meddle(port, {"'no more'"}), meddle(port, {"'no more'"})});
  config::Pool options = RealDatabase::with_url(scheme + "://app:secret@127.0.0.1:" + std::to_string(relay.port()) + "/app?sslmode=disable");
  options.acquire_timeout = 30s;
  options.close_timeout = 1s;
  RealDatabase t(options, 2);  // a second row: MariaDB's ends are proven by the janitor only, which is not here
  auto body = [&]() -> awaitable<void> {
    co_await t.db->query("SELECT 1");
    std::optional<sql::SqlError> error;
    bool late = false;
    for (int i = 0; run == Run::third && i < 2; ++i) co_await t.db->query(sql::SqlText(statement), std::string("as usual"));
    try {
      const Within limit = within(noticed == Noticed::at_once ? Duration(30s) : Duration(1s));
      if (run == Run::third)
        co_await t.db->query(limit, sql::SqlText(statement), std::string("'a surprise'"));
      else
        co_await t.db->query(limit, sql::SqlText(statement));
    } catch (const sql::SqlError& e) {
      error = e;
    } catch (const TimedOut&) {
      late = true;
    }
    if (!late || noticed == Noticed::at_once) {
      REQUIRE(error);
      CAPTURE(error->what());
      CHECK(error->error_class() == sql::Class::connection);
      CHECK(error->phase() == sql::Phase::lost);
      CHECK(error->statement() == statement);
    }
    const sql::Rows rows = co_await t.db->query("SELECT 2");
    CHECK(rows[0][0].as<int>() == 2);
    CHECK(t.stats.connects.get() == 2);
    CHECK(t.stats.lost.get() == 1);
  };
  t.run(body);
}

}  // namespace

TEST_CASE("What a server must not say is a typed error, and its connection is not used again") {
  if (!PostgresServer::require()) return;
  Meddling how{"'a surprise'"};
  SUBCASE("a message of an unknown kind") { how.before = std::string("\x7f\0\0\0\x08oops", 9); }
  SUBCASE("a length that cannot be") { how.before = std::string("D\xff\xff\xff\xff", 5); }
  SUBCASE("a row without a description") { how.before = std::string("D\0\0\0\x06\0\0", 7); }
  SUBCASE("noise") { how.before = "HTTP/1.1 400 Bad Request\r\n\r\n"; }
  check_given_up(server().port(), "postgresql", how, "SELECT 'a surprise'");
}

TEST_CASE("A prepared query has its columns described with its first run, and not again") {
  if (!PostgresServer::require()) return;
  const auto sent_by = [](int runs_before) {
    std::string heard, types;
    {
      ScriptedServer relay({meddle(server().port(), {.word = "'here'", .heard = &heard})});
      RealDatabase t("postgresql://app:secret@127.0.0.1:" + std::to_string(relay.port()) + "/app?sslmode=disable", 1);
      auto body = [&]() -> awaitable<void> {
        for (int i = 0; i < runs_before; ++i) co_await t.db->query("SELECT $1::text", std::string("as usual"));
        co_await t.db->query("SELECT $1::text", std::string("'here'"));
      };
      t.run(body);
    }
    for (std::size_t at = 0; at + 5 <= heard.size();) {
      types += heard[at];
      std::uint32_t length = 0;
      std::memcpy(&length, heard.data() + at + 1, 4);
      at += 1 + ntohl(length);
    }
    return types;
  };
  CHECK(sent_by(0) == "BDES");  // Bind, Describe, Execute, Sync
  CHECK(sent_by(1) == "BES");
}

TEST_CASE("What a server must not say past libpq is a typed error, and its connection is not used again") {
  if (!PostgresServer::require()) return;
  Meddling how{"'a surprise'"};
  SUBCASE("a message of an unknown kind") { how.before = std::string("\x7f\0\0\0\x08oops", 9); }
  SUBCASE("a length that cannot be") { how.before = std::string("D\xff\xff\xff\xff", 5); }
  SUBCASE("a row of other columns") { how.before = std::string("D\0\0\0\x06\0\0", 7); }
  SUBCASE("a row shorter than it says") { how.before = std::string("D\0\0\0\x0c\0\x01\0\0\0\x09oo", 13); }
  SUBCASE("an error without an end") { how.before = std::string("E\0\0\0\x0aVERROR", 11); }
  SUBCASE("ready in no state") { how.before = std::string("Z\0\0\0\x05?", 6); }
  SUBCASE("noise") { how.before = "HTTP/1.1 400 Bad Request\r\n\r\n"; }
  check_given_up(server().port(), "postgresql", how, "SELECT $1::text", Noticed::at_once, Run::third);
}

TEST_CASE("A MariaDB that breaks off in the middle of a packet is a typed error, and its connection is not used again") {
  if (!MariaDbServer::require()) return;
  Meddling how{"'a surprise'"};
  SUBCASE("in its header") { how.most = 2; }
  SUBCASE("in what the header announces") {
    how.before = std::string("\x64\0\0\x01\0\x01\0", 7);
    how.most = 0;
  }
  check_given_up(mariadb().port(), "mysql", how, "SELECT 'a surprise'");
}

// The client library looks at no sequence number: it may wait for what such words announce.
TEST_CASE("What a MariaDB must not say is an error at the deadline at the latest, and its connection is not used again") {
  if (!MariaDbServer::require()) return;
  Meddling how{"'a surprise'"};
  SUBCASE("a packet out of order, too short for an answer") { how.before = std::string("\x01\0\0\x07\0", 5); }
  SUBCASE("noise") { how.before = "HTTP/1.1 400 Bad Request\r\n\r\n"; }
  check_given_up(mariadb().port(), "mysql", how, "SELECT 'a surprise'", Noticed::by_deadline);
}

TEST_CASE("A server that goes away in the middle of a result is a typed error, not a short result, and its connection is not used again") {
  Meddling how{"'a surprise'"};
  how.most = 100'000;
  SUBCASE("PostgreSQL") {
    if (!PostgresServer::require()) return;
    check_given_up(server().port(), "postgresql", how, "SELECT 'a surprise', repeat('x', 1000) FROM generate_series(1, 1000)");
  }
  SUBCASE("PostgreSQL, past libpq") {
    if (!PostgresServer::require()) return;
    const std::string statement = "SELECT $1::text, repeat('x', 1000) FROM generate_series(1, 1000)";
    check_given_up(server().port(), "postgresql", how, statement, Noticed::at_once, Run::third);
  }
  SUBCASE("MariaDB") {
    if (!MariaDbServer::require()) return;
    check_given_up(mariadb().port(), "mysql", how, "SELECT 'a surprise', REPEAT('x', 1000) FROM seq_1_to_1000");
  }
}
