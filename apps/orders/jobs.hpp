// The worker kind `jobs`: pays for placed orders. Each row of the outbox is posted to app.payments_url with the row's id as the
// Idempotency-Key, so that the service can make each payment once however often it is asked.
//
// 2xx: done. 400 to 499 (but 408, 425, 429): refused for good, the job is dead. Anything else is tried again.
// Own options: app.payments_url (http://host:port/path), app.payment_timeout (10s), app.job_concurrency (4 at a time in a worker),
// app.job_claim (30s: a killed worker's jobs are taken up after this), app.job_attempts (10), app.job_backoff (1s), app.job_poll (500ms), app.job_channel (PostgreSQL: the kind web
// notifies it of each order, so that jobs need not poll often; none, for a server takes the COMMITs of those who notify one after the other).
#pragma once

#include <sluice/workers/queue.hpp>

#include <string>

namespace orders {

class Jobs : public sluice::QueueWorker {
 public:
  sluice::QueueOptions options() override;
  sluice::awaitable<void> start() override;
  sluice::awaitable<void> perform(sluice::Job job) override;

 private:
  std::string address_;  // "host:port"
  std::string target_;   // "/path"
  sluice::Duration timeout_ = std::chrono::seconds(10);
};

}  // namespace orders
