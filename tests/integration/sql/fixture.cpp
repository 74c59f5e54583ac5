#include "fixture.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

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

// The second number of schedstat: nanoseconds spent ready to run, but not running. 0 where the kernel does not tell.
Duration Loop::run_delay() {
  std::ifstream file("/proc/thread-self/schedstat");
  std::uint64_t ran = 0, waited = 0;
  file >> ran >> waited;
  return std::chrono::nanoseconds(waited);
}

void Loop::beat() {
  timer_.expires_after(5ms);
  timer_.async_wait([this](const error_code& error) {
    if (error) return;
    const TimePoint now = Clock::now();
    const Duration delay = run_delay();
    worst_gap_ = std::max(worst_gap_, now - last_beat_ - (delay - last_delay_));
    last_beat_ = now;
    last_delay_ = delay;
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

std::size_t resident_bytes() {
  std::size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

namespace {

std::string local_url(int port, const std::string& query) { return "postgresql://app:secret@127.0.0.1:" + std::to_string(port) + "/app" + query; }

// Binds to a free port of 127.0.0.1, listens, and fills in the address.
void listen_on_loopback(int socket, int backlog, sockaddr_in& address) {
  address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket, raw, size) != 0 || ::listen(socket, backlog) != 0 || ::getsockname(socket, raw, &size) != 0) throw std::runtime_error("listen");
}

}  // namespace

Listener::Listener(Kind kind) {
  const auto make = [this](int flags) {
    descriptors_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    return descriptors_.back();
  };
  const int listener = make(0);
  sockaddr_in address;
  listen_on_loopback(listener, kind == Kind::full ? 0 : 16, address);
  port_ = ntohs(address.sin_port);
  // Connects until one does not complete: the backlog is full then.
  for (int i = 0; kind == Kind::full && i < 16; ++i) {
    const int filler = make(SOCK_NONBLOCK);
    ::connect(filler, reinterpret_cast<sockaddr*>(&address), sizeof address);
    pollfd ready{filler, POLLOUT, 0};
    if (::poll(&ready, 1, 100) == 0) return;
  }
  if (kind == Kind::full) throw std::runtime_error("the backlog does not fill");
}

Listener::~Listener() {
  for (int descriptor : descriptors_) ::close(descriptor);
}

std::string Listener::url(const std::string& query) const { return local_url(port_, query); }

ScriptedServer::ScriptedServer(std::vector<std::function<void(int)>> scripts) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address;
  listen_on_loopback(listener_, 8, address);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([listener = listener_, scripts = std::move(scripts)] {
    for (const auto& script : scripts) {
      const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      script(accepted);
      ::close(accepted);
    }
  });
}

ScriptedServer::~ScriptedServer() {
  ::shutdown(listener_, SHUT_RDWR);  // a script that nobody asked for gets a bad socket instead of waiting for ever
  thread_.join();
  ::close(listener_);
}

std::string ScriptedServer::url(const std::string& query) const { return local_url(port_, query); }

std::string read_packet(int socket) {
  std::uint32_t size = 0;
  if (::recv(socket, &size, 4, MSG_WAITALL) != 4) return {};
  std::string content(ntohl(size) - 4, '\0');
  if (::recv(socket, content.data(), content.size(), MSG_WAITALL) != static_cast<ssize_t>(content.size())) return {};
  return content;
}

void read_to_end(int socket) {
  char buffer[256];
  while (::read(socket, buffer, sizeof buffer) > 0) {
  }
}

}  // namespace sluice::test
