#include "support/load.hpp"

#include <sluice/core/descriptor.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <random>
#include <stdexcept>

#include "support/eventually.hpp"

namespace sluice::test {
namespace {

constexpr Duration patience = 10s;  // an answer that takes longer is a failure (scaled)

struct Answer {
  unsigned status = 0;
  bool close = false;
  std::size_t size = 0;  // bytes of head and body together
  std::string_view body;
};

// A complete answer at the front of `in`, or nothing yet. Only Content-Length bodies: what the server under test sends.
std::optional<Answer> parse(const std::string& in) {
  const std::size_t head_end = in.find("\r\n\r\n");
  if (head_end == std::string::npos) return std::nullopt;
  std::string head = in.substr(0, head_end + 2);
  std::transform(head.begin(), head.end(), head.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  Answer answer;
  if (head.starts_with("http/1.1 ")) std::from_chars(head.data() + 9, head.data() + head.size(), answer.status);
  answer.close = head.find("\r\nconnection: close\r\n") != std::string::npos;
  std::size_t length = 0;
  if (const std::size_t at = head.find("\r\ncontent-length: "); at != std::string::npos)
    std::from_chars(head.data() + at + 18, head.data() + head.size(), length);
  if (in.size() < head_end + 4 + length) return std::nullopt;
  answer.size = head_end + 4 + length;
  answer.body = std::string_view(in).substr(head_end + 4, length);
  return answer;
}

int worker_in(std::string_view body) {
  constexpr std::string_view key = "\"worker\":";
  const std::size_t at = body.find(key);
  int worker = -1;
  if (at != std::string_view::npos) std::from_chars(body.data() + at + key.size(), body.data() + body.size(), worker);
  return worker;
}

Descriptor connect_to(std::uint16_t port) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  set_nonblocking(socket.get(), true);
  return socket;
}

}  // namespace

Duration LoadResult::slowest() const {
  return slowest_per_second.empty() ? Duration{} : *std::max_element(slowest_per_second.begin(), slowest_per_second.end());
}

std::size_t LoadResult::failures_of(int worker, TimePoint from) const {
  return static_cast<std::size_t>(
      std::count_if(failures.begin(), failures.end(), [&](const LoadFailure& f) { return f.worker == worker && f.at >= from; }));
}

std::string LoadResult::unexpected(int worker, TimePoint from) const {
  std::string out;
  std::size_t count = 0;
  for (const LoadFailure& failure : failures) {
    if (failure.worker == worker && failure.at >= from) continue;
    if (++count <= 10) out += "worker " + std::to_string(failure.worker) + ": " + failure.what + "\n";
  }
  return count > 10 ? out + "… " + std::to_string(count) + " in all\n" : out;
}

// One connection and its request in flight.
class Load::Client {
 public:
  Client(Load& load, int poll, std::size_t index) : load_(load), poll_(poll), index_(index), random_(static_cast<unsigned>(index) + 1) {}

  bool busy() const noexcept { return busy_; }

  // Sends the next request, on a new connection if there is none.
  void next() {
    if (load_.stopping_.load(std::memory_order_relaxed)) return close();
    if (load_.options_.requests_per_connection && served_ >= load_.options_.requests_per_connection) close();
    compose();
    sent_ = Clock::now();
    busy_ = true;
    if (!socket_) {
      worker_ = -1;
      served_ = 0;
      in_.clear();
      socket_ = connect_to(load_.port_);
      ++load_.result_.reconnects;
      if (!socket_) return fail(std::string("cannot connect: ") + std::strerror(errno));
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = index_;
      ::epoll_ctl(poll_, EPOLL_CTL_ADD, socket_.get(), &event);
    }
    // Requests are far smaller than a socket's buffer.
    if (::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(out_.size()))
      fail(std::string("cannot send: ") + std::strerror(errno));
  }

  void readable() {
    if (!socket_) return;
    char buffer[16384];
    const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return fail(got == 0 ? "the connection was closed without an answer" : std::string("the connection broke: ") + std::strerror(errno));
    in_.append(buffer, static_cast<std::size_t>(got));
    if (const auto answer = parse(in_)) finish(*answer);
  }

  void check_patience(TimePoint now) {
    if (busy_ && socket_ && now - sent_ > scaled(patience)) fail("no answer in time");
    if (!busy_ && !ended_ && now >= retry_at_) next();
  }

 private:
  void compose() {
    const LoadOptions& options = load_.options_;
    std::string body, extra;
    order_ = false;
    if (!options.targets.empty()) {
      line_ = "GET " + options.targets[number_ % options.targets.size()];
    } else if (std::uniform_real_distribution<>(0, 1)(random_) < options.writes) {
      const int user = std::uniform_int_distribution<>(1, options.users)(random_);
      order_ = true;
      line_ = "POST /orders";
      body = R"({"user":)" + std::to_string(user) + R"(,"item":"book","quantity":1})";
      extra = "Content-Type: application/json\r\nIdempotency-Key: " + std::to_string(::getpid()) + "-" +
              std::to_string(load_.serial_) + "-" + std::to_string(index_) + "-" + std::to_string(number_) + "\r\n";
    } else {
      line_ = "GET /users/" + std::to_string(std::uniform_int_distribution<>(1, options.users)(random_));
    }
    ++number_;
    out_ = line_ + " HTTP/1.1\r\nHost: localhost\r\n" + extra + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  void finish(const Answer& answer) {
    const TimePoint now = Clock::now();
    if (const int worker = worker_in(answer.body); worker >= 0) worker_ = worker;
    busy_ = false;
    if (answer.status < 200 || answer.status > 299) {
      record("status " + std::to_string(answer.status) + ": " + std::string(answer.body.substr(0, 300)), now);
      retry_at_ = now + 20ms;
    } else {
      ++load_.result_.requests;
      load_.result_.orders += order_;
      ++load_.result_.by_worker[worker_];
      load_.answered_.fetch_add(1, std::memory_order_relaxed);
      if (worker_ >= 0 && worker_ < 256) load_.by_worker_[static_cast<std::size_t>(worker_)].fetch_add(1, std::memory_order_relaxed);
      load_.note_latency(now - sent_, now);
    }
    ++served_;
    const bool close_now = answer.close;
    if (in_.size() > answer.size) record("bytes after the answer", now);
    in_.clear();
    if (close_now) close();
    if (now >= retry_at_) next();
  }

  void fail(const std::string& what) {
    const bool nobody_there = served_ == 0 && load_.expecting_end_;
    if (!nobody_there) record(what, Clock::now());
    busy_ = false;
    close();
    if (nobody_there) ended_ = true;
    retry_at_ = Clock::now() + 20ms;
  }

  void record(const std::string& what, TimePoint at) { load_.result_.failures.push_back({worker_, at, line_ + ": " + what}); }

  void close() { socket_.reset(); }

  Load& load_;
  int poll_;
  std::size_t index_;
  std::mt19937 random_;
  Descriptor socket_;
  std::string line_, out_, in_;
  bool busy_ = false, order_ = false, ended_ = false;
  TimePoint sent_{}, retry_at_{};
  int worker_ = -1;
  std::uint64_t served_ = 0, number_ = 0;
};

namespace {
std::atomic<unsigned> loads{0};
}

Load::Load(std::uint16_t port, LoadOptions options) : options_(std::move(options)), serial_(++loads), port_(port) {
  thread_ = std::thread([this] {
    try {
      run();
    } catch (const std::exception& error) {
      broken_ = error.what();
    }
  });
}

Load::~Load() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

bool Load::wait_answers(std::uint64_t more, Duration limit) const {
  const std::uint64_t goal = answered() + more;
  return eventually(limit, [&] { return answered() >= goal; });
}

LoadResult Load::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  if (!broken_.empty()) throw std::runtime_error("the load client failed: " + broken_);
  return result_;
}

void Load::note_latency(Duration latency, TimePoint now) {
  const auto second = static_cast<std::size_t>(std::chrono::duration_cast<std::chrono::seconds>(now - started_).count());
  auto& slowest = result_.slowest_per_second;
  if (slowest.size() <= second) slowest.resize(second + 1);
  slowest[second] = std::max(slowest[second], latency);
}

void Load::run() {
  Descriptor poll(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll) throw_errno("epoll_create1");
  started_ = Clock::now();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < options_.connections; ++i) clients.push_back(std::make_unique<Client>(*this, poll.get(), static_cast<std::size_t>(i)));
  for (auto& client : clients) client->next();
  TimePoint checked = Clock::now();
  for (;;) {
    epoll_event events[64];
    const int ready = ::epoll_wait(poll.get(), events, 64, 20);
    for (int i = 0; i < ready; ++i) clients[events[i].data.u64]->readable();
    const TimePoint now = Clock::now();
    if (now - checked >= 20ms) {
      checked = now;
      for (auto& client : clients) client->check_patience(now);
    }
    if (stopping_ && std::none_of(clients.begin(), clients.end(), [](const auto& client) { return client->busy(); })) return;
  }
}

}  // namespace sluice::test
