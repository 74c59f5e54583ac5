#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "databases.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// Passes on what client and server say, until the client says `word`: then the server's next words are preceded by `surprise`.
std::function<void(int)> meddle(std::string word, std::string surprise) {
  return [word = std::move(word), surprise = std::move(surprise)](int client) {
    if (client < 0) return;
    const int upstream = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(server().port()));
    if (::connect(upstream, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return;
    bool due = false;
    std::string buffer(65536, '\0');
    for (;;) {
      pollfd both[] = {{client, POLLIN, 0}, {upstream, POLLIN, 0}};
      if (::poll(both, 2, 30'000) <= 0) break;
      const bool from_client = both[0].revents != 0;
      const ssize_t n = ::recv(from_client ? client : upstream, buffer.data(), buffer.size(), 0);
      if (n <= 0) break;
      const std::string_view said(buffer.data(), static_cast<std::size_t>(n));
      if (from_client && said.find(word) != said.npos) due = true;
      if (!from_client && std::exchange(due, false)) ::send(client, surprise.data(), surprise.size(), MSG_NOSIGNAL);
      if (::send(from_client ? upstream : client, buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) < 0) break;
    }
    ::close(upstream);
  };
}

}  // namespace

TEST_CASE("What a server must not say is a typed error, and its connection is not used again") {
  if (!PostgresServer::require()) return;
  std::string surprise;
  SUBCASE("a message of an unknown kind") { surprise = std::string("\x7f\0\0\0\x08oops", 9); }
  SUBCASE("a length that cannot be") { surprise = std::string("D\xff\xff\xff\xff", 5); }
  SUBCASE("a row without a description") { surprise = std::string("D\0\0\0\x06\0\0", 7); }
  SUBCASE("noise") { surprise = "HTTP/1.1 400 Bad Request\r\n\r\n"; }
  // The pool asks to cancel what it closes, on a connection of its own; so there may be three.
  ScriptedServer relay({meddle("'a surprise'", surprise), meddle("'no more'", {}), meddle("'no more'", {})});
  {
    config::Pool options = RealDatabase::with_url(relay.url("?sslmode=disable"));
    options.acquire_timeout = 30s;
    options.close_timeout = 1s;
    RealDatabase t(options, 1);
    auto body = [&]() -> awaitable<void> {
      co_await t.db->query("SELECT 1");
      const auto error = co_await error_from<sql::SqlError>(t.db->query(within(5s), "SELECT 'a surprise'"));
      REQUIRE(error);
      CAPTURE(error->what());
      CHECK(error->error_class() == sql::Class::connection);
      CHECK(error->statement() == "SELECT 'a surprise'");
      const sql::Rows rows = co_await t.db->query("SELECT 2");
      CHECK(rows[0][0].as<int>() == 2);
      CHECK(t.stats.connects.get() == 2);
      CHECK(t.stats.lost.get() == 1);
    };
    t.run(body);
  }
}
