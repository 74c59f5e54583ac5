// docs/guides/own-resource.md as its reader would take it: the code of the page, compiled and run against a server that speaks the
// protocol it describes.
#include <sluice/config/endpoint.hpp>
#include <sluice/core/asio.hpp>
#include <sluice/pool/connector.hpp>
#include <sluice/pool/health.hpp>
#include <sluice/pool/pool.hpp>
#include <sluice/pool/registry.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string>

using namespace sluice;
using asio::ip::tcp;

namespace {
#include "own_resource_guide.hpp"  // cut out of the page when the build is configured
}  // namespace

#include <support/permit_rows.hpp>

#include <doctest/doctest.h>
#include <fstream>
#include <list>
#include <optional>
#include <sstream>

namespace {

// Answers lines on the test's own loop; `deaf` ones get no answer any more.
class Server {
 public:
  explicit Server(asio::io_context& loop) : acceptor_(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    asio::co_spawn(loop, accept(*this), [](std::exception_ptr) {});
  }
  std::string url() const { return "kv://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }
  void hang_up() {
    for (tcp::socket& socket : sockets_) socket.close();
  }
  int sessions = 0, open = 0;

 private:
  static awaitable<void> accept(Server& self) {
    while (true) {
      tcp::socket socket = co_await self.acceptor_.async_accept(use_awaitable);
      ++self.sessions;
      ++self.open;
      self.sockets_.push_back(std::move(socket));
      asio::co_spawn(self.acceptor_.get_executor(), serve(self.sockets_.back()), [&self](std::exception_ptr) { --self.open; });
    }
  }
  static awaitable<void> serve(tcp::socket& socket) {
    std::string input;
    error_code error;
    while (true) {
      const std::size_t size = co_await asio::async_read_until(socket, asio::dynamic_buffer(input), '\n', asio::redirect_error(use_awaitable, error));
      if (error) break;
      const std::string line = input.substr(0, size - 1);
      input.erase(0, size);
      const std::string answer = (line == "ping" ? "pong" : line == "get greeting" ? "hello" : "?") + std::string("\n");
      co_await asio::async_write(socket, asio::buffer(answer), use_awaitable);
    }
    error_code ignored;
    socket.close(ignored);
  }

  tcp::acceptor acceptor_;
  std::list<tcp::socket> sockets_;
};

struct Fixture {
  explicit Fixture(std::uint32_t max = 2) {
    config::Pool options;
    options.name = "cache";
    options.url = server.url();
    options.max = max;
    const pool::Driver* driver = pool::find_driver("kv");
    REQUIRE(driver);
    pool::PoolResources resources;
    resources.share = rows.share;
    cache.emplace(loop, options, driver->make_connector(options, pool::Identity{}), resources);
    cache->ready();
  }

  template <class T>
  T run(awaitable<T> work) {
    std::optional<T> result;
    std::exception_ptr error;
    asio::co_spawn(loop, std::move(work), [&](std::exception_ptr e, T value) {
      error = e;
      result = std::move(value);
    });
    REQUIRE(until([&] { return result.has_value(); }));
    if (error) std::rethrow_exception(error);
    return std::move(*result);
  }
  template <class Condition>
  bool until(Condition condition) {
    const TimePoint end = Clock::now() + 10s;
    while (!condition()) {
      if (Clock::now() > end) return false;
      loop.restart();
      loop.run_one_for(10ms);
    }
    return true;
  }

  test::PermitRows rows{4};
  asio::io_context loop{1};
  Server server{loop};
  std::optional<pool::Pool> cache;
};

awaitable<bool> checked_after_loss(Fixture& f) {
  pool::Lease lease = co_await f.cache->acquire();
  const bool before = co_await pool::check(*f.cache, lease);
  f.server.hang_up();
  const bool after = co_await pool::check(*f.cache, lease);
  const std::uint64_t old = lease.id();
  co_await pool::refresh(*f.cache, lease);
  const bool fresh = co_await pool::check(*f.cache, lease);
  co_return before && !after && fresh && lease.id() != old;
}

std::string guide() {
  std::ifstream page(SLUICE_SOURCE_DIR "/docs/guides/own-resource.md");
  std::ostringstream text;
  text << page.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("the guide's own resource is pooled: one connection serves many, and its close is proven") {
  Fixture f;
  for (int i = 0; i < 5; ++i) CHECK(f.run(value_of(*f.cache, "greeting")) == "hello");
  CHECK(f.server.sessions == 1);
  CHECK(f.cache->numbers().idle == 1);
  CHECK(f.run(f.cache->close(Deadline::after(5s))));
  CHECK(f.rows.free() == 4);
  CHECK(f.until([&] { return f.server.open == 0; }));
}

TEST_CASE("a connection in hand can be checked, and replaced by a fresh one") {
  Fixture f;
  CHECK(f.run(checked_after_loss(f)));
  CHECK(f.server.sessions == 2);
  CHECK(f.run(f.cache->close(Deadline::after(5s))));
}

TEST_CASE("the guide's resource takes less than 40 lines") {
  const std::string page = guide();
  const std::size_t begin = page.find("```cpp\n") + 7, end = page.find("```", begin);
  std::istringstream code(page.substr(begin, end - begin));
  int lines = 0;
  for (std::string line; std::getline(code, line);) {
    if (line.find_first_not_of(" {};") != std::string::npos) ++lines;
  }
  CHECK(lines > 20);
  CHECK(lines < 40);
}
