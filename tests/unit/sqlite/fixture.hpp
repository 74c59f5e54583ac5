// A temporary directory, a loop that runs one coroutine to its end, and connections of the real driver.
#pragma once

#include <doctest/doctest.h>
#include <sluice/core/asio.hpp>
#include <sluice/core/log.hpp>
#include <sluice/drivers/sqlite/connector.hpp>
#include <sluice/drivers/sqlite/session.hpp>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace sluice::test {

// In-memory databases warn; here they are meant.
inline const bool only_errors_logged = [] {
  log::Settings settings;
  settings.level = log::Level::error;
  log::configure(settings);
  return true;
}();

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sluice-sqlite-XXXXXX").native();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string url_of(const std::filesystem::path& file, const std::string& parameters = "") { return "sqlite:" + file.native() + parameters; }

inline config::Pool pool_options(const std::string& url) {
  config::Pool options;
  options.name = "main";
  options.url = url;
  return options;
}

// Runs one coroutine until it and everything it started is done; throws what it threw. `body` lives until then.
template <class F>
void on_loop(F body) {
  asio::io_context loop;
  std::exception_ptr failure;
  asio::co_spawn(loop, body(), [&](std::exception_ptr e) { failure = e; });
  loop.run();
  if (failure) std::rethrow_exception(failure);
}

// The exception of type E that an operation threw, if any; others pass through.
template <class E, class T>
awaitable<std::optional<E>> thrown(awaitable<T> operation) {
  std::optional<E> caught;
  try {
    co_await std::move(operation);
  } catch (const E& e) {
    caught = e;
  }
  co_return caught;
}

inline awaitable<void> sleep_for(Duration time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(use_awaitable);
}

// A connection with short forms of its calls.
class Open {
 public:
  explicit Open(const std::string& url) : Open(pool_options(url)) {}
  explicit Open(const config::Pool& options) : connector_(std::make_unique<sqlite::Connector>(options)) {}
  explicit Open(std::shared_ptr<sqlite::Connector> connector) : connector_(std::move(connector)) {}

  awaitable<void> connect(Deadline deadline = Deadline::after(30s)) {
    std::unique_ptr<pool::Connection> made = co_await connector_->connect(deadline);
    connection_ = std::move(made);
  }
  awaitable<pool::CloseResult> close() { return connector_->close(std::move(connection_), Deadline::after(30s)); }

  sqlite::Connector& connector() { return *connector_; }
  sqlite::Session& session() { return static_cast<sqlite::Session&>(*connection_); }
  pool::Connection& connection() { return *connection_; }

  template <class... Args>
  awaitable<sql::Rows> run(std::string_view sql, const Args&... args) { return session().run(sql::make_statement(sql, args...), Deadline::after(60s)); }
  template <class... Args>
  awaitable<sql::Rows> run_within(Duration limit, std::string_view sql, const Args&... args) {
    return session().run(sql::make_statement(sql, args...), Deadline::after(limit));
  }
  awaitable<void> begin(bool read_only = false) { return session().begin(sql::TransactionOptions{read_only}, Deadline::after(60s)); }
  awaitable<void> commit() { return session().commit(Deadline::after(60s)); }

 private:
  std::shared_ptr<sqlite::Connector> connector_;
  std::unique_ptr<pool::Connection> connection_;
};

// A statement that takes minutes, of reading only.
inline constexpr const char* endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000000) SELECT count(*) FROM n";

}  // namespace sluice::test
