#include "fixture.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

namespace sluice::test {

PostgresServer& server() {
  static PostgresServer instance([] {
    PostgresOptions options;
    options.ssl = true;
    return options;
  }());
  instance.start();
  return instance;
}

config::Pool pool_options(const std::string& url) {
  config::Pool pool;
  pool.name = "main";
  pool.url = url;
  return pool;
}

pool::Identity identity(std::uint32_t slot) {
  pool::Identity who;
  who.instance = "shop@test";
  who.nonce = "0badcafe";
  who.slot = slot;
  who.generation = 1;
  return who;
}

void Loop::beat() {
  timer_.expires_after(5ms);
  timer_.async_wait([this](const error_code& error) {
    if (error) return;
    const TimePoint now = Clock::now();
    worst_gap_ = std::max(worst_gap_, now - last_beat_);
    last_beat_ = now;
    beat();
  });
}

Client::Client(const config::Pool& options, const pool::Identity& who)
    : connector_(std::make_unique<postgres::PostgresConnector>(postgres::parse_settings(options, who))) {}

awaitable<std::unique_ptr<postgres::PostgresSession>> Client::connect(Duration limit) {
  std::unique_ptr<pool::Connection> connection = co_await connector_->connect(Deadline::after(scaled(limit)));
  co_return std::unique_ptr<postgres::PostgresSession>(static_cast<postgres::PostgresSession*>(connection.release()));
}

awaitable<bool> Client::close(std::unique_ptr<postgres::PostgresSession> session, Duration limit) {
  const pool::CloseResult result = co_await connector_->close(std::move(session), Deadline::after(scaled(limit)));
  co_return result == pool::CloseResult::confirmed;
}

Failure failure_of_connect(Loop& loop, Client& client, Duration limit) {
  Failure failure;
  loop.run([&]() -> awaitable<void> {
    try {
      auto session = co_await client.connect(limit);
      failure.text = "it connected";
    } catch (const pool::ConnectFailed& e) {
      failure.text = e.what();
      failure.released = e.released();
      failure.permanent = e.permanent();
    }
  });
  return failure;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

Listener::Listener(Kind kind) {
  const auto make = [this](int flags) {
    descriptors_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    return descriptors_.back();
  };
  const int listener = make(0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, raw, size) != 0 || ::listen(listener, kind == Kind::full ? 0 : 16) != 0 || ::getsockname(listener, raw, &size) != 0) {
    throw std::runtime_error("listen");
  }
  port_ = ntohs(address.sin_port);
  // Connects until one does not complete: the backlog is full then.
  for (int i = 0; kind == Kind::full && i < 16; ++i) {
    const int filler = make(SOCK_NONBLOCK);
    ::connect(filler, raw, size);
    pollfd ready{filler, POLLOUT, 0};
    if (::poll(&ready, 1, 100) == 0) return;
  }
  if (kind == Kind::full) throw std::runtime_error("the backlog does not fill");
}

Listener::~Listener() {
  for (int descriptor : descriptors_) ::close(descriptor);
}

std::string Listener::url(const std::string& query) const { return "postgresql://app:secret@127.0.0.1:" + std::to_string(port_) + "/app" + query; }

}  // namespace sluice::test
