// One SQL connection as drivers implement it. All calls on the loop's thread; none may block the loop.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/pool/connector.hpp>
#include <sluice/sql/rows.hpp>
#include <sluice/sql/value.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::sql {

enum class Dialect { postgres, mysql, sqlite };

// A statement with its bound parameters, owned. Placeholders are $1, $2, … in every dialect.
struct Statement {
  std::string sql;
  std::vector<Value> parameters;

  Statement() = default;
  Statement(std::string s, std::vector<Value> p) : sql(std::move(s)), parameters(std::move(p)) {}
};

template <class... Args>
Statement make_statement(std::string_view sql, const Args&... args) {
  std::vector<Value> parameters;
  parameters.reserve(sizeof...(Args));
  (parameters.push_back(encode(args)), ...);
  return Statement(std::string(sql), std::move(parameters));
}

struct TransactionOptions {
  bool read_only = false;
};

class Session : public pool::Connection {
 public:
  // Executes one statement, prepared and cached by its text. Throws SqlError (the connection stays usable unless
  // `broken` is set), TimedOut past the deadline after the statement was cancelled on the server.
  virtual awaitable<Rows> run(Statement statement, Deadline deadline) = 0;
  // Several statements separated by ';', no parameters, no result: for schema creation.
  virtual awaitable<void> run_script(std::string sql, Deadline deadline) = 0;
  virtual awaitable<void> begin(TransactionOptions options, Deadline deadline) = 0;
  virtual awaitable<void> commit(Deadline deadline) = 0;
  virtual awaitable<void> rollback(Deadline deadline) = 0;
  virtual Dialect dialect() const noexcept = 0;
  virtual bool in_transaction() const noexcept = 0;
};

// What an SQL driver's connector derives from, so that context().sql(name) can tell that the pool speaks SQL.
class SqlConnector : public pool::Connector {
 public:
  virtual Dialect dialect() const noexcept = 0;
};

}  // namespace sluice::sql
