#include "mock_connector.hpp"

namespace sluice::conformance {

FailPoint::FailPoint(const Json& document, const std::string& app_name) {
  const Json data = document.value("data", Json::object());
  const Json commands = data.value("failCommands", Json::array());
  const bool concerns_connects = commands.empty() || std::any_of(commands.begin(), commands.end(), [](const Json& c) {
                                   return c == "hello" || c == "isMaster" || c == "ismaster" || c == "saslStart" || c == "saslContinue";
                                 });
  const std::string wanted_app = data.value("appName", std::string());
  if (!concerns_connects || (!wanted_app.empty() && wanted_app != app_name)) return;

  const Json mode = document.value("mode", Json("off"));
  if (mode == "alwaysOn") {
    times_ = -1;
  } else if (mode.is_object()) {
    skip_ = mode.value("skip", std::int64_t{0});
    times_ = mode.value("times", std::int64_t{-1});
  }
  if (data.value("blockConnection", true)) hit_.block = std::chrono::milliseconds(data.value("blockTimeMS", std::int64_t{0}));
  hit_.fail = data.contains("errorCode") || data.value("closeConnection", false);
}

FailPoint::Hit FailPoint::take() {
  if (skip_ > 0) {
    --skip_;
    return {};
  }
  if (times_ == 0) return {};
  if (times_ > 0) --times_;
  return hit_;
}

awaitable<std::unique_ptr<pool::Connection>> MockConnector::connect(Deadline deadline) {
  const FailPoint::Hit hit = fail_point_.take();
  if (hit.block > Duration::zero()) {
    asio::steady_timer block(loop_, std::min(Clock::now() + hit.block, deadline.at));
    error_code interrupted;
    co_await block.async_wait(asio::redirect_error(use_awaitable, interrupted));
    if (interrupted || deadline.passed(Clock::now())) throw pool::ConnectFailed("mock: the connect was interrupted", true);
  }
  if (hit.fail) {
    failing_();
    throw pool::ConnectFailed("mock: the fail point failed the handshake", true);
  }
  auto connection = std::make_unique<pool::Connection>();
  connection->session = ++sessions_;
  connection->session_birth = 1;
  co_return connection;
}

}  // namespace sluice::conformance
