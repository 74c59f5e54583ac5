// A transaction on one leased connection. Rolls back unless committed: rollback() may be awaited; a transaction that is
// destroyed unfinished gives its connection back dirty, and the pool rolls it back (reset) before anyone else gets it.
#pragma once

#include <sluice/pool/pool.hpp>
#include <sluice/sql/session.hpp>

#include <string_view>

namespace sluice::sql {

class Transaction {
 public:
  Transaction(pool::Lease lease, Duration statement_timeout) noexcept;
  Transaction(Transaction&&) noexcept = default;
  Transaction& operator=(Transaction&&) noexcept = default;

  template <class... Args>
  awaitable<Rows> query(std::string_view sql, const Args&... args) { return run(bind(sql, args...), std::nullopt); }
  template <class... Args>
  awaitable<Rows> query(Within limit, std::string_view sql, const Args&... args) { return run(bind(sql, args...), limit); }
  template <class... Args>
  awaitable<std::uint64_t> execute(std::string_view sql, const Args&... args) { return run_execute(bind(sql, args...)); }

  // Afterwards the connection is back in the pool. Throws SqlError(commit) if the outcome is unknown or the commit was refused.
  awaitable<void> commit();
  awaitable<void> rollback();
  bool open() const noexcept { return static_cast<bool>(lease_); }

 private:
  template <class... Args>
  static Statement bind(std::string_view sql, const Args&... args) {
    std::vector<Value> parameters;
    parameters.reserve(sizeof...(Args));
    (parameters.push_back(encode(args)), ...);
    return Statement(std::string(sql), std::move(parameters));
  }
  awaitable<Rows> run(Statement statement, std::optional<Within> limit);
  awaitable<std::uint64_t> run_execute(Statement statement);

  pool::Lease lease_;
  Duration statement_timeout_;
};

}  // namespace sluice::sql
