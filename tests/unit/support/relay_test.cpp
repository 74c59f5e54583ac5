// The relay does to connections what it says, and nothing else: the tests that break networks rely on it.
#include <support/eventually.hpp>
#include <support/relay.hpp>

#include <sluice/core/descriptor.hpp>

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

namespace sluice::test {
namespace {

constexpr Duration limit = 5s;
constexpr Duration a_while = 150ms;  // in which a relay that does not hold back would long have passed something on

sockaddr_in on_loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool readable(const Descriptor& socket, Duration time) {
  pollfd waiting{socket.get(), POLLIN, 0};
  return ::poll(&waiting, 1, static_cast<int>(to_millis(time))) == 1;
}

// One end of a connection.
class Peer {
 public:
  explicit Peer(Descriptor socket) : socket_(std::move(socket)) {}

  void say(const std::string& words) { REQUIRE(::send(socket_.get(), words.data(), words.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(words.size())); }
  void end_speech() { REQUIRE(::shutdown(socket_.get(), SHUT_WR) == 0); }
  // What it hears next: words, "(end)" in good order, "(reset)", or "" if it is nothing for so long.
  std::string hears(Duration time = scaled(limit)) {
    if (!readable(socket_, time)) return {};
    char words[1024];
    const ssize_t n = ::recv(socket_.get(), words, sizeof words, 0);
    if (n > 0) return {words, static_cast<std::size_t>(n)};
    return n == 0 ? "(end)" : errno == ECONNRESET ? "(reset)" : "(?)";
  }

 private:
  Descriptor socket_;
};

// A server that accepts by hand, a relay before it, and clients of the relay.
struct Network {
  Network() : listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = on_loopback(0);
    socklen_t size = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listener.get(), raw, size) == 0);
    REQUIRE(::listen(listener.get(), 16) == 0);
    REQUIRE(::getsockname(listener.get(), raw, &size) == 0);
    relay.emplace(ntohs(address.sin_port));
  }
  Peer client() {
    Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = on_loopback(relay->port());
    REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return Peer(std::move(socket));
  }
  Peer server() {
    REQUIRE(readable(listener, scaled(limit)));
    return Peer(Descriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }
  bool server_is_called(Duration time) const { return readable(listener, time); }

  Descriptor listener;
  std::optional<Relay> relay;
};

// A client and its server, which have spoken with each other.
struct Pair {
  explicit Pair(Network& network) : client(network.client()), server(network.server()) {
    client.say("hello");
    REQUIRE(server.hears() == "hello");
    server.say("welcome");
    REQUIRE(client.hears() == "welcome");
  }
  Peer client, server;
};

}  // namespace

TEST_CASE("Through the relay words pass both ways, and each side's orderly end arrives as one, after all its words") {
  Network network;
  Pair pair(network);
  pair.server.say("that is all");
  pair.server.end_speech();
  CHECK(pair.client.hears() == "that is all");
  CHECK(pair.client.hears() == "(end)");
  pair.client.say("thank you");
  pair.client.end_speech();
  CHECK(pair.server.hears() == "thank you");
  CHECK(pair.server.hears() == "(end)");
  CHECK(network.relay->totals().connects == 1);
  CHECK(network.relay->totals().to_server == 14);
  CHECK(network.relay->totals().to_client == 18);
  CHECK(network.relay->broken() == "");
}

TEST_CASE("A stalled relay passes on nothing, also for new clients, and then everything") {
  Network network;
  Pair pair(network);
  network.relay->stall();
  pair.client.say("one");
  pair.server.say("two");
  CHECK(pair.server.hears(a_while) == "");
  CHECK(pair.client.hears(a_while) == "");
  Peer newcomer = network.client();
  newcomer.say("three");
  CHECK(newcomer.hears(a_while) == "");
  network.relay->resume();
  CHECK(pair.server.hears() == "one");
  CHECK(pair.client.hears() == "two");
  CHECK(network.server().hears() == "three");
}

TEST_CASE("A reset is one for the client at once, and for the server, who hears it later; a share of none is nobody") {
  Network network;
  Pair pair(network);
  CHECK(network.relay->reset(0, 0ms) == 0);
  CHECK(pair.client.hears(a_while) == "");
  REQUIRE(network.relay->reset(1, 1h) == 1);
  CHECK(pair.client.hears() == "(reset)");
  CHECK(pair.server.hears(a_while) == "");
  Pair next(network);  // only what was there is reset
  const TimePoint before = Clock::now();
  REQUIRE(network.relay->reset(1, 200ms) == 1);
  CHECK(next.client.hears() == "(reset)");
  CHECK(next.server.hears() == "(reset)");
  CHECK(Clock::now() - before >= 200ms);
}

TEST_CASE("Half-closed, the server sees its client's orderly end and nothing that it says after; the client hears the server to its end") {
  Network network;
  Pair pair(network);
  CHECK(network.relay->half_close(0) == 0);
  REQUIRE(network.relay->half_close(1) == 1);
  CHECK(pair.server.hears() == "(end)");
  pair.client.say("are you there?");
  CHECK(pair.client.hears(a_while) == "");
  CHECK(network.relay->totals().to_server == 5);  // the "hello"
  pair.server.say("goodbye");
  CHECK(pair.client.hears() == "goodbye");
  pair.server.end_speech();
  CHECK(pair.client.hears() == "(end)");
}

TEST_CASE("Cut, neither side hears anything, nor does the server of newcomers; healed, all of them are reset, and the next one passes") {
  Network network;
  Pair pair(network);
  network.relay->cut();
  pair.client.say("one");
  pair.server.say("two");
  Peer newcomer = network.client();
  newcomer.say("three");
  CHECK_FALSE(network.server_is_called(a_while));
  CHECK(pair.server.hears(a_while) == "");
  CHECK(pair.client.hears(a_while) == "");
  CHECK(newcomer.hears(a_while) == "");
  network.relay->heal();
  CHECK(pair.server.hears() == "(reset)");
  CHECK(pair.client.hears() == "(reset)");
  CHECK(newcomer.hears() == "(reset)");
  Pair next(network);
}

TEST_CASE("A reset by one side is never an orderly end for the other, and a server that does not listen resets its clients") {
  Network network;
  Peer client = network.client();
  {
    const Peer server = network.server();
    client.say("unread");
    CHECK(eventually(limit, [&] { return network.relay->totals().to_server == 6; }));
  }  // closed without having read: that is a reset
  CHECK(client.hears() == "(reset)");
  network.listener.reset();
  CHECK(network.client().hears() == "(reset)");
  CHECK(network.relay->totals().unreachable == 1);
}

TEST_CASE("The relay counts who is told that there are too many connections, once each, however the words are cut") {
  Network network;
  const std::string refusal = std::string("\x1d\0\0\0\xff\x10\x04#08004", 13) + "Too many connections";
  for (const std::size_t cut : {refusal.size(), std::size_t{6}}) {
    Peer client = network.client();
    Peer server = network.server();
    for (const std::string& words : {refusal.substr(0, cut), refusal.substr(cut)}) {
      if (words.empty()) continue;
      server.say(words);
      CHECK(client.hears() == words);
    }
  }
  Pair welcome(network);
  CHECK(network.relay->totals().too_many == 2);
}

}  // namespace sluice::test
