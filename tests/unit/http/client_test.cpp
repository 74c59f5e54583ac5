#include "unit/http/directory.hpp"
#include "unit/http/handlers.hpp"
#include "unit/http/serving.hpp"

#include <sluice/http/client.hpp>

#include <doctest/doctest.h>
#include <sys/socket.h>

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::testing;

TEST_CASE("fetch brings status, headers and body over TCP and over a Unix socket") {
  Directory directory;
  for (const std::string& address : {std::string("127.0.0.1:0"), "unix:" + directory.file("x.sock")}) {
    Serving serving(echo, {}, address);
    const Response response = fetch(serving.address(), "POST", "/a?b=c", "body", 5s);
    CHECK(response.status == 200);
    CHECK(response.body == "POST /a?b=c body");
    CHECK(response.headers.at("content-type") == "text/plain; charset=utf-8");
    CHECK(fetch(serving.address(), "HEAD", "/", "", 5s).body.empty());
  }
}

TEST_CASE("fetch brings a body of megabytes") {
  Serving serving([](Request request) {
    request.body.assign(5 << 20, 'z');
    return echo(std::move(request));
  });
  CHECK(fetch(serving.address(), "GET", "/", "", 10s).body.size() == (5u << 20) + 6);
}

TEST_CASE("fetch says that nobody answers") {
  std::string address;
  {
    const Descriptor gone = bind_listener("127.0.0.1:0", "test");
    address = local_address(gone.get());
  }
  try {
    fetch(address, "GET", "/", "", 5s);
    FAIL("somebody answered");
  } catch (const ExitError& e) {
    CHECK(e.code() == ExitCode::unavailable);
  }
  CHECK_THROWS_AS(fetch("unix:/no/such/socket", "GET", "/", "", 5s), ExitError);
}

TEST_CASE("fetch gives up at its deadline when nothing comes") {
  const Descriptor silent = bind_listener("127.0.0.1:0", "test");  // the kernel connects, nobody accepts
  CHECK_THROWS_AS(fetch(local_address(silent.get()), "GET", "/", "", 50ms), TimedOut);
}

TEST_CASE("fetch refuses what is not HTTP") {
  const Descriptor listener = bind_listener("127.0.0.1:0", "test");
  std::thread garbage([&] {
    set_nonblocking(listener.get(), false);
    const Descriptor client(::accept(listener.get(), nullptr, nullptr));
    CHECK(::send(client.get(), "SSH-2.0-x\r\n\r\n", 13, MSG_NOSIGNAL) == 13);
    char ignored[1024];
    while (::recv(client.get(), ignored, sizeof ignored, 0) > 0) {
    }
  });
  CHECK_THROWS_AS(fetch(local_address(listener.get()), "GET", "/", "", 5s), Error);
  garbage.join();
}
