#include <sluice/drivers/mysql/connect.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/offload.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <utility>

namespace sluice::mysql {
namespace {

constexpr Duration rounding = 1500ms;  // the library's timeouts are whole seconds

}  // namespace

awaitable<std::unique_ptr<MysqlSession>> Dialer::dial(Deadline deadline) {
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  const Duration limit = deadline.is_never() ? Duration(24h) : deadline.remaining(Clock::now());
  const Deadline patience = deadline.is_never() ? deadline : Deadline{deadline.at + std::min<Duration>(rounding, settings_.close_timeout)};
  auto connect = [settings = settings_, limit] { return open_connection(settings, limit); };
  Opened opened;
  try {
    opened = co_await offload(std::move(connect), patience);
  } catch (const TimedOut&) {
    opened.cause.text = "no connection before the deadline";
  } catch (const std::exception& e) {
    opened.cause.text = e.what();
  }
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (!opened.handle && state.cancelled() != asio::cancellation_type::none) opened.cause.text = "the connect was cancelled";
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (!opened.handle) throw pool::ConnectFailed(text(settings_.place(), ": ", opened.cause.text), opened.cause.released, opened.cause.permanent);
  if (opened.session == 0 && !std::exchange(warned_of_proxy_, true)) {
    log::warning(text("pool ", settings_.pool, ": a proxy answers at ", settings_.place(),
                      "; set via: proxy for its server, or connect to the server directly"));
  }
  const auto executor = co_await asio::this_coro::executor;
  co_return std::make_unique<MysqlSession>(executor, std::move(opened), settings_);
}

}  // namespace sluice::mysql
