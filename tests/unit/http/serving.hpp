// A server on a loop thread of its own, and a raw client: what the tests of server.hpp talk with. Every wait has a deadline.
#pragma once

#include <sluice/core/descriptor.hpp>
#include <sluice/http/router.hpp>
#include <sluice/http/server.hpp>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace sluice::http::testing {

class Serving {
 public:
  using Respond = std::function<awaitable<Response>(Request)>;

  explicit Serving(Respond respond, Limits limits = {}, const std::string& address = "127.0.0.1:0");
  ~Serving();

  std::string address() const { return local_address(listener_.get()); }
  // Runs on the loop and waits for it.
  void on_loop(const std::function<void(Server&)>& action);
  // Begins to drain; the future tells what drain() returned.
  std::future<bool> drain(Duration limit);
  // Waits until the condition, evaluated on the loop after each of its turns, holds; false after ten seconds.
  bool eventually(const std::function<bool(Server&)>& condition);
  void destroy_server();
  // A new server on the same listening socket takes the place of the old one.
  void serve_again(Respond respond);

  asio::io_context& loop() noexcept { return loop_; }

  std::atomic<int> in_flight{0};
  std::atomic<int> connections{0};
  std::atomic<int> finished{0};
  std::atomic<unsigned> last_status{0};

 private:
  std::unique_ptr<Server> make(Respond respond, Limits limits);

  Descriptor listener_;
  asio::io_context loop_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

// Blocking, with a deadline of ten seconds on every read.
class Client {
 public:
  explicit Client(const std::string& address);

  void send(std::string_view bytes);
  // Status line and header up to the empty line; then the body by Content-Length. "" at the end of the stream.
  std::string response(bool with_body = true);
  // Everything until the server closes; throws on a reset.
  std::string rest();
  bool closed();  // true: the stream ends here in order
  void close() { socket_.reset(); }
  void finish_sending();

 private:
  bool fill();  // false: end of stream
  Descriptor socket_;
  std::string received_;
};

std::string get(std::string_view target, std::string_view extra = "");
int status_of(const std::string& response);
std::string body_of(const std::string& response);

}  // namespace sluice::http::testing
