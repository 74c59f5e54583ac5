#include "jobs.hpp"

#include "options.hpp"
#include "schema.hpp"

#include <sluice/core/offload.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/client.hpp>

namespace orders {

using sluice::awaitable;

sluice::QueueOptions Jobs::options() {
  const sluice::config::Config& config = context().config();
  sluice::QueueOptions options;
  options.concurrency = count_option(config, "job_concurrency", options.concurrency);
  options.claim = duration_option(config, "job_claim", options.claim);
  options.attempts = count_option(config, "job_attempts", options.attempts);
  options.backoff_min = duration_option(config, "job_backoff", options.backoff_min);
  options.poll = duration_option(config, "job_poll", options.poll);
  options.channel = job_channel(config);
  return options;
}

awaitable<void> Jobs::start() {
  const std::string url = text_option(context().config(), "payments_url");
  const std::string scheme = "http://";
  const std::size_t slash = url.find('/', scheme.size());
  if (!url.starts_with(scheme) || url.size() == scheme.size())
    throw sluice::ExitError(sluice::ExitCode::config, "kind jobs needs app.payments_url, such as http://127.0.0.1:9000/payments");
  address_ = url.substr(scheme.size(), slash == std::string::npos ? slash : slash - scheme.size());
  target_ = slash == std::string::npos ? "/" : url.substr(slash);
  if (address_.find(':') == std::string::npos) address_ += ":80";
  timeout_ = duration_option(context().config(), "payment_timeout", timeout_);
  context().sql("main").on_first_use(postgres_schema(), sqlite_schema(), mysql_schema());
  co_await QueueWorker::start();
}

awaitable<void> Jobs::perform(sluice::Job job) {
  sluice::http::Headers headers{{"Content-Type", "application/json"}, {"Idempotency-Key", std::to_string(job.id)}};
  auto post = [address = address_, target = target_, body = job.payload, timeout = timeout_, headers = std::move(headers)] {
    return sluice::http::fetch(address, "POST", target, body, timeout, headers);
  };
  const sluice::http::Response response = co_await sluice::offload(std::move(post), sluice::Deadline::after(timeout_ + std::chrono::seconds(1)));
  if (response.status < 300) co_return;
  const std::string answer = sluice::text("the payment service answered ", response.status);
  const bool later = response.status == 408 || response.status == 425 || response.status == 429;
  if (response.status >= 400 && response.status < 500 && !later) throw sluice::DeadJob(answer);
  throw sluice::Error(answer);
}

}  // namespace orders
