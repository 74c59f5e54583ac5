#include "unit/http/serving.hpp"

#include <sluice/core/text.hpp>
#include <sluice/http/address.hpp>

#include <arpa/inet.h>
#include <cstring>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>

namespace sluice::http::testing {
namespace {

constexpr Duration patience = 10s;

awaitable<void> drain_into(Server& server, Duration limit, std::shared_ptr<std::promise<bool>> promise) {
  const bool done = co_await server.drain(Deadline::after(limit));
  promise->set_value(done);
}

}  // namespace

Serving::Serving(Respond respond, Limits limits, const std::string& address)
    : listener_(bind_listener(address, "http.listen")), work_(loop_.get_executor()) {
  server_ = make(std::move(respond), limits);
  thread_ = std::thread([this] { loop_.run(); });
}

std::unique_ptr<Server> Serving::make(Respond respond, Limits limits) {
  Observer observer;
  observer.in_flight = [this](int delta) { in_flight += delta; };
  observer.connections = [this](int delta) { connections += delta; };
  observer.finished = [this](unsigned status, std::int64_t) {
    last_status = status;
    ++finished;
  };
  auto server = std::make_unique<Server>(loop_, std::move(respond), limits, std::move(observer));
  server->listen(listener_.get());
  return server;
}

void Serving::serve_again(Respond respond) {
  on_loop([&](Server&) { server_ = make(std::move(respond), {}); });
}

Serving::~Serving() {
  destroy_server();
  loop_.stop();
  thread_.join();
}

void Serving::destroy_server() {
  on_loop([this](Server&) { server_.reset(); });
}

void Serving::on_loop(const std::function<void(Server&)>& action) {
  std::promise<void> done;
  asio::post(loop_, [&] {
    if (server_) action(*server_);
    done.set_value();
  });
  done.get_future().get();
}

std::future<bool> Serving::drain(Duration limit) {
  auto promise = std::make_shared<std::promise<bool>>();
  auto future = promise->get_future();
  on_loop([&](Server& server) {
    asio::co_spawn(loop_, drain_into(server, limit, promise), [](const std::exception_ptr& e) {
      if (e) std::rethrow_exception(e);
    });
  });
  return future;
}

bool Serving::eventually(const std::function<bool(Server&)>& condition) {
  const Deadline deadline = Deadline::after(patience);
  for (bool holds = false; !deadline.passed(Clock::now());) {
    on_loop([&](Server& server) { holds = condition(server); });
    if (holds) return true;
    std::this_thread::yield();
  }
  return false;
}

Client::Client(const std::string& address) {
  const auto where = parse_address(address);
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (where->is_unix) {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, where->host.c_str(), where->host.size() + 1);
    size = sizeof local;
    std::memcpy(&storage, &local, size);
  } else {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<std::uint16_t>(std::stoi(where->port)));
    ::inet_pton(AF_INET, where->host.c_str(), &v4.sin_addr);
    size = sizeof v4;
    std::memcpy(&storage, &v4, size);
  }
  socket_ = Descriptor(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0) throw_errno("connect");
}

void Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) throw_errno("send");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void Client::finish_sending() { ::shutdown(socket_.get(), SHUT_WR); }

bool Client::fill() {
  pollfd waiting{socket_.get(), POLLIN, 0};
  if (::poll(&waiting, 1, static_cast<int>(to_millis(patience))) <= 0) throw std::runtime_error("the server neither answered nor closed");
  char buffer[16 << 10];
  const ssize_t bytes = ::recv(socket_.get(), buffer, sizeof buffer, 0);
  if (bytes < 0) throw_errno("recv");
  received_.append(buffer, static_cast<std::size_t>(bytes));
  return bytes > 0;
}

std::string Client::response(bool with_body) {
  std::size_t end;
  while ((end = received_.find("\r\n\r\n")) == std::string::npos)
    if (!fill()) return std::exchange(received_, {});
  std::size_t size = end + 4;
  const std::size_t length = received_.find("Content-Length: ");
  if (with_body && length < end) size += std::stoul(received_.substr(length + 16));
  while (received_.size() < size)
    if (!fill()) throw std::runtime_error("the response is cut off");
  std::string out = received_.substr(0, size);
  received_.erase(0, size);
  return out;
}

std::string Client::rest() {
  while (fill()) {
  }
  return std::exchange(received_, {});
}

bool Client::closed() { return received_.empty() && !fill(); }

std::string get(std::string_view target, std::string_view extra) { return text("GET ", target, " HTTP/1.1\r\nHost: test\r\n", extra, "\r\n"); }

int status_of(const std::string& response) { return response.size() < 12 ? 0 : std::stoi(response.substr(9, 3)); }

std::string body_of(const std::string& response) { return response.substr(response.find("\r\n\r\n") + 4); }

}  // namespace sluice::http::testing
