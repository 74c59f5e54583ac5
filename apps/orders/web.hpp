// The worker kind `web`: the orders API.
#pragma once

#include <sluice/workers/http.hpp>

namespace orders {

class Web : public sluice::HttpWorker {
 public:
  void routes() override;
  sluice::awaitable<void> start() override;

 private:
  sluice::awaitable<sluice::Response> index(sluice::Request request);
  sluice::awaitable<sluice::Response> ping(sluice::Request request);
  sluice::awaitable<sluice::Response> user(sluice::Request request);
  sluice::awaitable<sluice::Response> place_order(sluice::Request request);
  sluice::awaitable<sluice::Response> order(sluice::Request request);
  sluice::awaitable<sluice::Response> report(sluice::Request request);

  sluice::sql::Database& db() { return context().sql("main"); }

  sluice::Duration report_deadline_ = std::chrono::seconds(5);  // app.report_deadline
  std::string job_channel_;                                     // app.job_channel; "": nobody is notified
};

}  // namespace orders
