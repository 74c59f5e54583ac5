#include "support/relay.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace sluice::test {
namespace {

constexpr std::size_t buffer_size = 64 << 10;

sockaddr_in local_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void send_at_once(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Closes with a reset: never an orderly end of stream.
void abort(Descriptor& socket) {
  if (!socket) return;
  const linger at_once{1, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket.reset();
}

}  // namespace

// One direction: what was read from the source and not yet written to the sink.
struct Flow {
  std::string pending;
  bool ended = false;   // the source has said its last word
  bool passed = false;  // and the sink has been told
};

struct Relay::Link {
  Descriptor client;
  Descriptor server;
  Flow up;
  Flow down;
  bool connecting = true;                        // toward the server
  bool dead = false;                             // cut: nothing moves, nobody is told
  bool deaf = false;                             // half-closed: what the client still says goes nowhere
  TimePoint abort_server_at = TimePoint::max();  // reset: the client is gone, the server not yet told
  std::string opening;                           // what the server said first
  bool refused = false;

  bool orphaned() const noexcept { return !client; }
  bool over() const noexcept { return !client && !server; }
  void abort_both() {
    abort(client);
    abort(server);
  }
};

namespace {

enum class Moved { on, ended, failed };

Moved fill(const Descriptor& source, Flow& flow, std::uint64_t& count) {
  char buffer[buffer_size];
  const ssize_t n = ::recv(source.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n > 0) {
    flow.pending.append(buffer, static_cast<std::size_t>(n));
    count += static_cast<std::uint64_t>(n);
    return Moved::on;
  }
  if (n == 0) return Moved::ended;
  return errno == EAGAIN || errno == EINTR ? Moved::on : Moved::failed;
}

// Writes what is pending; passes the end on once all is written.
Moved drain(const Descriptor& sink, Flow& flow) {
  if (!flow.pending.empty()) {
    const ssize_t n = ::send(sink.get(), flow.pending.data(), flow.pending.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? Moved::on : Moved::failed;
    flow.pending.erase(0, static_cast<std::size_t>(n));
  }
  if (flow.pending.empty() && flow.ended && !flow.passed) {
    ::shutdown(sink.get(), SHUT_WR);
    flow.passed = true;
  }
  return Moved::on;
}

}  // namespace

Relay::Relay(std::uint16_t server_port, std::uint64_t seed)
    : server_port_(server_port),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      wakeup_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      random_(seed) {
  sockaddr_in address = local_address(0);
  socklen_t size = sizeof address;
  if (!listener_ || !wakeup_ || ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(listener_.get(), 256) != 0 || ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error(std::string("the relay cannot listen: ") + std::strerror(errno));
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

Relay::~Relay() {
  stopping_ = true;
  wake();
  thread_.join();
  for (Link& link : links_) link.abort_both();
}

void Relay::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wakeup_.get(), &one, sizeof one);
}

void Relay::stall() {
  const std::lock_guard lock(mutex_);
  stalled_ = true;
}

void Relay::resume() {
  const std::lock_guard lock(mutex_);
  stalled_ = false;
  wake();
}

bool Relay::picked(double share) { return std::uniform_real_distribution<double>(0, 1)(random_) < share; }

std::size_t Relay::reset(double share, Duration late) {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (Link& link : links_) {
    if (link.orphaned() || !picked(share)) continue;
    abort(link.client);
    link.abort_server_at = Clock::now() + late;
    ++count;
  }
  wake();
  return count;
}

std::size_t Relay::half_close(double share) {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (Link& link : links_) {
    if (link.orphaned() || link.connecting || link.dead || !picked(share)) continue;
    link.deaf = true;
    link.up.ended = true;
    ++count;
  }
  wake();
  return count;
}

void Relay::cut() {
  const std::lock_guard lock(mutex_);
  cut_ = true;
  for (Link& link : links_) link.dead = true;
  wake();
}

void Relay::heal() {
  const std::lock_guard lock(mutex_);
  cut_ = false;
  for (Link& link : links_)
    if (link.dead) link.abort_both();
  wake();
}

Relay::Totals Relay::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

std::string Relay::broken() const {
  const std::lock_guard lock(mutex_);
  return broken_;
}

void Relay::run() {
  try {
    while (!stopping_) work();
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    broken_ = error.what();
  }
}

// One round: wait for sockets that may move, move what can be moved. Links are looked at under the lock, waiting is not, and
// only this thread closes links for good, so an index into `sockets` stays true over the wait.
void Relay::work() {
  std::vector<pollfd> sockets{{listener_.get(), POLLIN, 0}, {wakeup_.get(), POLLIN, 0}};
  std::vector<Link*> links;
  int timeout = 200;
  {
    const std::lock_guard lock(mutex_);
    links_.remove_if([](const Link& link) { return link.over(); });
    std::size_t at_once = 0;
    for (Link& link : links_) {
      at_once += static_cast<bool>(link.server) && !link.connecting;
      links.push_back(&link);
      const bool still = link.dead || stalled_;
      short client = 0, server = 0;
      if (!still && !link.up.ended && link.up.pending.size() < buffer_size) client |= POLLIN;
      if (!still && !link.down.pending.empty()) client |= POLLOUT;
      if (!still && !link.down.ended && link.down.pending.size() < buffer_size) server |= POLLIN;
      if (!still && (link.connecting || !link.up.pending.empty())) server |= POLLOUT;
      if (link.abort_server_at != TimePoint::max()) timeout = 10;
      // A negative descriptor is skipped; one without interest would still report errors, over and over.
      sockets.push_back({client ? link.client.get() : -1, client, 0});
      sockets.push_back({server ? link.server.get() : -1, server, 0});
    }
    totals_.most_at_once = std::max(totals_.most_at_once, at_once);
  }
  if (::poll(sockets.data(), sockets.size(), timeout) < 0 && errno != EINTR) throw std::runtime_error(std::string("poll: ") + std::strerror(errno));
  std::uint64_t ignored;
  [[maybe_unused]] const ssize_t n = ::read(wakeup_.get(), &ignored, sizeof ignored);

  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < links.size(); ++i) advance(*links[i], &sockets[2 + 2 * i], &sockets[3 + 2 * i]);
  if (sockets[0].revents & POLLIN) accept_all();
}

void Relay::accept_all() {
  for (;;) {
    Descriptor client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client) return;
    ++totals_.connects;
    Link& link = links_.emplace_back();
    link.client = std::move(client);
    link.dead = cut_;
    send_at_once(link.client.get());
    if (cut_) continue;
    link.server = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_in address = local_address(server_port_);
    if (!link.server || (::connect(link.server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS)) {
      ++totals_.unreachable;
      link.abort_both();
      continue;
    }
    send_at_once(link.server.get());
  }
}

void Relay::advance(Link& link, const pollfd* client, const pollfd* server) {
  if (link.over() || link.dead) return;
  if (link.orphaned()) {
    if (Clock::now() >= link.abort_server_at) abort(link.server);
    return;
  }
  if (stalled_) return;
  if (link.connecting) {
    if (!(server->revents & (POLLOUT | POLLERR | POLLHUP))) return;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(link.server.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      ++totals_.unreachable;
      link.abort_both();
      return;
    }
    link.connecting = false;
  }
  bool failed = false;
  if (client->revents & (POLLIN | POLLERR | POLLHUP) && !link.up.ended) {
    const Moved moved = fill(link.client, link.up, totals_.to_server);
    link.up.ended = moved == Moved::ended;
    failed = moved == Moved::failed;
  } else if (client->revents & POLLERR) {
    failed = true;
  }
  if (server->revents & (POLLIN | POLLERR | POLLHUP) && !link.down.ended) {
    const std::size_t before = link.down.pending.size();
    const Moved moved = fill(link.server, link.down, totals_.to_client);
    look_for_refusal(link, link.down.pending.data() + before, link.down.pending.size() - before);
    link.down.ended = moved == Moved::ended;
    failed = failed || moved == Moved::failed;
  }
  // A reset on one side is a reset on the other, and what was on its way is lost, as without a relay.
  failed = failed || drain(link.server, link.up) == Moved::failed || drain(link.client, link.down) == Moved::failed;
  if (failed) {
    link.abort_both();
  } else if (link.up.passed && link.down.passed) {
    if (link.deaf) abort(link.client);  // it may still be talking
    link.client.reset();
    link.server.reset();
  }
}

// A packet is its length (3 bytes), a sequence number and the payload; an error's payload begins with 0xff and the code.
void Relay::look_for_refusal(Link& link, const char* data, std::size_t size) {
  constexpr std::size_t enough = 2048;  // greeting and login
  constexpr unsigned too_many_connections = 1040;
  if (link.refused || link.opening.size() >= enough) return;
  link.opening.append(data, size);
  const auto byte = [&link](std::size_t at) -> unsigned { return static_cast<unsigned char>(link.opening[at]); };
  for (std::size_t at = 0; at + 7 <= link.opening.size(); at += 4 + (byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16)) {
    if (byte(at + 4) != 0xff || (byte(at + 5) | byte(at + 6) << 8) != too_many_connections) continue;
    link.refused = true;
    ++totals_.too_many;
    return;
  }
}

}  // namespace sluice::test
