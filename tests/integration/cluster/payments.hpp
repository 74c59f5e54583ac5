// What the tests of the kind jobs share: a payment service of the test's own, which keeps its books, and looks into the outbox.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/http/server.hpp>

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fixture.hpp"

namespace sluice::test {

// Makes each payment once by its key, as a real one would. Its functions may be called by any thread.
class PaymentService {
 public:
  // 200: it is paid, the first time with an effect; 0: no effect and no answer. Without an answer the client waits until the service ends.
  struct Reply {
    Reply(unsigned s, bool a = true) : status(s), answered(a && s != 0) {}
    unsigned status;
    bool answered;
  };
  // What becomes of the n-th request (from 1) for a key. Called on the service's thread; must not call the service.
  using Policy = std::function<Reply(const std::string& key, int request)>;

  explicit PaymentService(Policy policy = {});
  ~PaymentService();
  PaymentService(const PaymentService&) = delete;
  PaymentService& operator=(const PaymentService&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  std::string url() const { return "http://" + local(port_) + "/payments"; }
  void set(Policy policy);
  // Nothing is accepted or read meanwhile: what clients send stays with the kernel. These two by one thread.
  void pause();
  void resume();

  std::map<std::string, int> requests() const;
  // By key; each is 1, or the service is no service.
  std::map<std::string, int> effects() const;
  int total() const;

 private:
  awaitable<http::Response> pay(http::Request request);

  std::uint16_t port_;
  asio::io_context loop_{1};
  Descriptor socket_;
  std::unique_ptr<http::Server> server_;
  std::thread thread_;
  std::optional<std::promise<void>> paused_;
  mutable std::mutex mutex_;  // over everything below
  Policy policy_;
  std::map<std::string, int> requests_, effects_;
  int total_ = 0;
};

// Flags of orders: short times, and no breaker, for workers are killed.
std::vector<std::string> payment_flags(const PaymentService& service, std::vector<std::string> more = {});

// Nothing of earlier tests is owed: the shared servers keep their tables.
void empty_outbox(const Database& database);

// Jobs in the table itself.
int count_jobs(const Database& database, const Cluster& cluster, const std::string& where);

}  // namespace sluice::test
