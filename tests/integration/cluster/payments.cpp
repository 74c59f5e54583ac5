#include "payments.hpp"

#include <utility>

namespace sluice::test {
namespace {

http::Limits patient() {
  http::Limits limits;
  limits.request_timeout = 0s;  // what is never answered is not answered with 503 either
  return limits;
}

}  // namespace

PaymentService::PaymentService(Policy policy)
    : port_(unused_port()),
      socket_(http::bind_listener(local(port_), "test")),
      server_(std::make_unique<http::Server>(loop_, [this](http::Request request) { return pay(std::move(request)); }, patient())),
      policy_(std::move(policy)) {
  server_->listen(socket_.get());
  thread_ = std::thread([this] { loop_.run(); });
}

PaymentService::~PaymentService() {
  resume();
  loop_.stop();
  thread_.join();
  server_.reset();
}

void PaymentService::set(Policy policy) {
  const std::lock_guard lock(mutex_);
  policy_ = std::move(policy);
}

void PaymentService::pause() {
  std::promise<void> stands;
  asio::post(loop_, [&stands, over = paused_.emplace().get_future().share()] {
    stands.set_value();
    over.wait();
  });
  stands.get_future().wait();
}

void PaymentService::resume() {
  if (!paused_) return;
  paused_->set_value();
  paused_.reset();
}

std::map<std::string, int> PaymentService::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::map<std::string, int> PaymentService::effects() const {
  const std::lock_guard lock(mutex_);
  return effects_;
}

int PaymentService::total() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

awaitable<http::Response> PaymentService::pay(http::Request request) {
  const std::string* key = request.header("Idempotency-Key");
  Reply reply(200);
  {
    const std::lock_guard lock(mutex_);
    ++total_;
    if (!key) co_return http::Response::error(400, "no key");
    const int count = ++requests_[*key];
    if (policy_) reply = policy_(*key, count);
    if (reply.status == 200 && effects_[*key] == 0) ++effects_[*key];
  }
  if (!reply.answered) {
    asio::steady_timer timer(loop_, TimePoint::max());
    co_await timer.async_wait(use_awaitable);
  }
  http::Response response = reply.status < 300 ? http::Response::json({{"paid", true}}) : http::Response::error(reply.status, "not now");
  co_return response;
}

std::vector<std::string> payment_flags(const PaymentService& service, std::vector<std::string> more) {
  std::vector<std::string> out{"--app.payments_url",    service.url(), "--app.job_poll",           "20ms", "--app.job_backoff",     "20ms",
                               "--app.job_claim",       "1s",          "--restart.breaker_deaths", "0",    "--restart.backoff_min", "1ms",
                               "--restart.backoff_max", "50ms"};
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

void empty_outbox(const Database& database) {
  if (database.server) database.server->query("DO $$ BEGIN IF to_regclass('outbox') IS NOT NULL THEN DELETE FROM outbox; END IF; END $$");
  if (database.mariadb && !database.mariadb->query("SHOW TABLES LIKE 'outbox'").empty()) database.mariadb->query("DELETE FROM outbox");
}

int count_jobs(const Database& database, const Cluster& cluster, const std::string& where) {
  return std::stoi(database.query(cluster, "SELECT count(*) FROM outbox WHERE " + where)[0][0]);
}

}  // namespace sluice::test
