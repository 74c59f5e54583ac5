// Statements that are made to travel together: all connections are held until every statement waits, then some are let go.
#pragma once

#include <sluice/pool/pool.hpp>
#include <sluice/sql/database.hpp>
#include <support/real_database.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <algorithm>
#include <exception>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fixture.hpp"

namespace sluice::test {

// One statement's caller, and what became of it.
struct Asked {
  std::optional<sql::Rows> rows;
  std::exception_ptr error;
  bool ended = false;
  TimePoint at{};
  asio::cancellation_signal cancel;

  template <class E>
  bool threw() const {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const E&) {
      return true;
    } catch (...) {
    }
    return false;
  }
  std::string what() const {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const std::exception& e) {
      return e.what();
    }
    return {};
  }
  std::string sqlstate() const {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const sql::SqlError& e) {
      return e.sqlstate();
    } catch (...) {
    }
    return {};
  }
  std::string cell(int column = 0) const { return rows && !rows->empty() ? (*rows)[0][column].as<std::string>() : "(" + what() + ")"; }
};

// The texts of statements that are on one connection at the same time.
using Company = std::multiset<std::string>;

// Who runs in company now.
inline std::vector<Company> companies(const std::vector<shm::RunningStatement>& running) {
  std::map<std::uint64_t, Company> on;
  for (const shm::RunningStatement& one : running) {
    if (one.started_nanos.get() != 0) on[one.session.get()].insert(one.text.get());
  }
  std::vector<Company> all;
  for (auto& [session, company] : on) {
    if (company.size() > 1) all.push_back(std::move(company));
  }
  return all;
}

// How often the server's log has these words: it has every error.
inline std::size_t times_logged(const std::string& words) {
  const std::string log = server().log();
  std::size_t times = 0;
  for (std::size_t at = log.find(words); at != std::string::npos; at = log.find(words, at + 1)) ++times;
  return times;
}

// The time of the transaction's begin, first: the same for those who travelled together, and for nobody else.
inline const std::string where = "SELECT now()::text, pg_backend_pid()::text, current_setting('transaction_read_only')";
inline const std::string nap = "SELECT now()::text, pg_sleep($1::float8)::text";

// Statements of the pool that call pg_sleep now.
inline std::size_t running_sleeps() {
  std::size_t count = 0;
  for (const PostgresSession& s : server().sessions("shop@test")) count += s.state == "active" && s.query.find("pg_sleep") != std::string::npos;
  return count;
}

inline double in_seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

inline awaitable<void> ask_into(sql::Database& db, sql::Statement statement, std::optional<Within> limit, Asked& asked) {
  asked.rows = co_await db.run(std::move(statement), limit);
}

class Travellers {
 public:
  explicit Travellers(config::Pool options = {}, std::uint32_t connections = 2)
      : t(on_server(std::move(options)), connections), connections_(connections) {}

  // So many, that one slow run before them is forgotten.
  static constexpr int runs_to_know = 12;
  // Each text runs alone first: only what is known to be quick travels.
  void know(const std::vector<std::string>& texts) {
    auto body = [&]() -> awaitable<void> {
      for (const std::string& text : texts) {
        for (int i = 0; i < runs_to_know; ++i) co_await t.db->query(text);
      }
    };
    t.run(body);
  }
  template <class... Args>
  void know_with(const std::string& text, const Args&... args) {
    auto body = [&]() -> awaitable<void> {
      for (int i = 0; i < runs_to_know; ++i) co_await t.db->query(text, args...);
    };
    t.run(body);
  }

  void hold_all() { hold(connections_); }
  void hold(std::uint32_t connections) {
    auto body = [&]() -> awaitable<void> {
      for (std::uint32_t i = 0; i < connections; ++i) {
        pool::Lease lease = co_await t.pool->acquire();
        held.push_back(std::move(lease));
      }
    };
    t.run(body);
  }
  // One connection is in a transaction, which has run the statement; all others are held.
  sql::Transaction begin_and_hold(const std::string& statement) {
    std::optional<sql::Transaction> transaction;
    auto body = [&]() -> awaitable<void> {
      transaction.emplace(co_await t.db->begin());
      co_await transaction->execute(statement);
    };
    t.run(body);
    hold(connections_ - 1);
    return std::move(*transaction);
  }
  template <class... Args>
  Asked& ask(const std::string& sql, const Args&... args) {
    return start(sql::make_statement(sql, args...), std::nullopt);
  }
  template <class... Args>
  Asked& ask(Within limit, const std::string& sql, const Args&... args) {
    return start(sql::make_statement(sql, args...), limit);
  }
  // One of the connections that are held is free again. The statements that wait have all been asked by then.
  void let_go(std::size_t connections = 1) {
    settle();
    for (; connections > 0 && !held.empty(); --connections) held.pop_back();
  }
  // Everything that happens without waiting for anybody outside.
  void settle() {
    t.loop.restart();
    while (t.loop.poll_one() > 0) look();
  }
  template <class Condition>
  bool until(Condition condition, Duration limit = 20s) {
    const Deadline deadline = Deadline::after(scaled(limit));
    t.loop.restart();
    bool holds = condition();
    while (!holds && !deadline.passed(Clock::now())) {
      t.loop.run_one_for(10ms);
      look();
      if (t.loop.stopped()) t.loop.restart();
      holds = condition();
    }
    return holds;
  }
  bool all_end(Duration limit = 20s) {
    return until([&] { return std::all_of(asked.begin(), asked.end(), [](const Asked& a) { return a.ended; }); }, limit);
  }

  // Have statements of these texts been on one connection at the same time? What is promised of company shows nothing without.
  bool travelled(const Company& texts) const {
    const auto among = [&texts](const Company& company) { return std::includes(company.begin(), company.end(), texts.begin(), texts.end()); };
    return std::any_of(seen_.begin(), seen_.end(), among);
  }
  // Nothing is asked or held, nobody has travelled. Texts stay known.
  void start_over() {
    asked.clear();
    held.clear();
    seen_.clear();
  }

  std::list<Asked> asked;  // outlives the loop, whose coroutines write to it
  // A machine that is busy with something else makes statements look slow, and slow ones get no company: so what is about company is
  // tried again until it has come about.
  template <class Attempt>
  static bool in_time(Attempt attempt) {
    for (int i = 0; i < 30; ++i) {
      if (attempt()) return true;
    }
    return false;
  }

  RealDatabase t;
  std::vector<pool::Lease> held;

 private:
  static config::Pool on_server(config::Pool options) {
    if (options.url.empty()) options.url = server().url();
    options.statement_timeout = scaled(options.statement_timeout);
    options.pipeline_patience = scaled(options.pipeline_patience);
    return options;
  }
  // After every step of the loop: a group is sent in one and answered in another.
  void look() {
    for (Company& company : companies(t.running)) seen_.insert(std::move(company));
  }
  Asked& start(sql::Statement statement, std::optional<Within> limit) {
    Asked& one = asked.emplace_back();
    auto ended = [&one](std::exception_ptr error) {
      one.error = std::move(error);
      one.ended = true;
      one.at = Clock::now();
    };
    asio::co_spawn(t.loop, ask_into(*t.db, std::move(statement), limit, one), asio::bind_cancellation_slot(one.cancel.slot(), ended));
    return one;
  }
  std::uint32_t connections_;
  std::set<Company> seen_;
};

}  // namespace sluice::test
