// A server that exists in a scenario's `failPoint` only: connects take their time or fail as it says, everything else succeeds.
#pragma once

#include "match.hpp"

#include <sluice/pool/connector.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace sluice::conformance {

class FailPoint {
 public:
  FailPoint() = default;
  // Concerns connects whose handshake (`hello`) and application name are among what the document names; no names: all.
  FailPoint(const Json& document, const std::string& app_name);

  struct Hit {
    Duration block{};
    bool fail = false;
  };
  // Of the next connect.
  Hit take();

 private:
  std::int64_t skip_ = 0;
  std::int64_t times_ = 0;  // left; negative: always on
  Hit hit_;
};

class MockConnector final : public pool::Connector {
 public:
  // `failing` is called before a connect fails: what watches the server reacts before the pool does.
  std::uint32_t requests_per_connection = 1;
  std::function<void(std::uint64_t session)> resetting;
  MockConnector(asio::io_context& loop, FailPoint fail_point, std::function<void()> failing)
      : loop_(loop), fail_point_(fail_point), failing_(std::move(failing)) {}

  awaitable<std::unique_ptr<pool::Connection>> connect(Deadline deadline) override;
  awaitable<void> ping(pool::Connection&, Deadline) override { co_return; }
  awaitable<void> reset(pool::Connection& connection, Deadline) override {
    if (resetting) resetting(connection.session);
    co_return;
  }
  std::uint32_t max_requests_per_connection() const noexcept override { return requests_per_connection; }
  awaitable<pool::CloseResult> close(std::unique_ptr<pool::Connection> connection, Deadline) noexcept override {
    connection.reset();
    co_return pool::CloseResult::confirmed;
  }

 private:
  asio::io_context& loop_;
  FailPoint fail_point_;
  std::function<void()> failing_;
  std::uint64_t sessions_ = 0;
};

}  // namespace sluice::conformance
