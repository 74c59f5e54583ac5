// What the janitor does for MySQL while it lives: ends the statements that a pool's rows ask to end.
#pragma once

#include <sluice/pool/statement_cancel.hpp>

#include <support/real_database.hpp>

#include "mysql_fixture.hpp"

namespace sluice::test {

class ActingJanitor {
 public:
  explicit ActingJanitor(RealDatabase& database) : database_(database) {
    asio::co_spawn(database_.loop, act(), [this](std::exception_ptr e) {
      ended_ = true;
      CHECK_FALSE(e);
    });
  }
  ActingJanitor(const ActingJanitor&) = delete;
  ActingJanitor& operator=(const ActingJanitor&) = delete;
  ~ActingJanitor() {
    over_ = true;
    database_.loop.restart();
    while (!ended_ && database_.loop.run_one_for(scaled(20s)) > 0) {
    }
  }

 private:
  awaitable<void> act() {
    const auto inspector = mysql_inspector();
    co_await inspector->open(Deadline::after(scaled(10s)));
    asio::steady_timer timer(database_.loop);
    while (!over_) {
      for (shm::Row& row : database_.permits.rows()) {
        pool::StatementCancel request(row.cancel);
        if (!request.take()) continue;
        co_await inspector->cancel(row.session.load(), row.session_birth.load(), Deadline::after(scaled(5s)));
        request.done();
      }
      timer.expires_after(5ms);
      co_await timer.async_wait(use_awaitable);
    }
    co_await inspector->close(Deadline::after(scaled(5s)));
  }

  RealDatabase& database_;
  bool over_ = false;
  bool ended_ = false;
};

}  // namespace sluice::test
