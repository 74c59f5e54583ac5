// One SQL connection as drivers implement it, and what it is asked with. All calls on the loop's thread; none may block the loop.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/pool/connector.hpp>
#include <sluice/sql/error.hpp>
#include <sluice/sql/rows.hpp>
#include <sluice/sql/value.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
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

// `failure`, and of which parameter (from 1) of which statement.
[[noreturn]] void refuse_parameter(const SqlError& failure, std::size_t number, std::string_view sql);

// Throws SqlError(encode) that names the parameter, and the statement `sql`.
template <class... Args>
std::vector<Value> make_parameters(std::string_view sql, const Args&... args) {
  std::vector<Value> parameters;
  parameters.reserve(sizeof...(Args));
  try {
    (parameters.push_back(encode(args)), ...);
  } catch (const SqlError& failure) {
    refuse_parameter(failure, parameters.size() + 1, sql);
  }
  return parameters;
}

// Throws like make_parameters().
template <class... Args>
Statement make_statement(std::string_view sql, const Args&... args) {
  return Statement(std::string(sql), make_parameters(sql, args...));
}

// How long a call may take in all: from when it begins to run, or until an instant that is known already.
struct CallLimit {
  CallLimit() noexcept = default;  // as long as it likes
  CallLimit(Deadline d) noexcept : until(d) {}
  CallLimit(std::optional<Within> w) noexcept : within(w ? w->limit : Duration::max()) {}
  Deadline begin() const noexcept { return within == Duration::max() ? until : Deadline::after(within); }

  Duration within = Duration::max();
  Deadline until;
};

enum class Isolation : std::uint8_t {
  standard,  // READ COMMITTED on PostgreSQL and MariaDB, whatever the server's default
  read_uncommitted,
  read_committed,
  repeatable_read,
  serializable,
};
const char* to_sql(Isolation level) noexcept;  // "READ COMMITTED", …; `standard` too

// SQLite has one level, serializable, which keeps what each of them promises.
struct TransactionOptions {
  bool read_only = false;
  Isolation isolation = Isolation::standard;
};

// A result that is read in pieces. One at a time per session; until it has ended, the session runs nothing else. Destroyed
// before its end it leaves the session broken: the connection is closed, which ends the statement on the server.
class RowSource {
 public:
  // Refers to the session as long as it lives.
  explicit RowSource(class Session& session) noexcept;
  RowSource(const RowSource&) = delete;
  RowSource& operator=(const RowSource&) = delete;
  virtual ~RowSource();
  // The next rows, at least one; null after the last. Throws like run(), and is over then.
  virtual awaitable<std::shared_ptr<const ResultSet>> next(Deadline deadline) = 0;
  // Ends it early on the server, without reading the rest. The session stays usable unless `broken` is set.
  virtual awaitable<void> stop(Deadline deadline) = 0;

 private:
  Session& read_;
};

// Where bulk rows go. Names are quoted by the driver as they are: no dots, no expressions; `schema` may be empty.
struct BulkTarget {
  std::string schema;
  std::string table;
  std::vector<std::string> columns;
};

// With whom a statement of autocommit may travel on one connection (pools.<name>.pipeline).
enum class Sharing : std::uint8_t {
  none,   // with nobody
  reads,  // with other reads, in one read-only transaction
  chain,  // with all that are not `none`, each in a transaction of its own
};

// One statement of a group: statements of several callers that one connection runs together.
struct GroupMember {
  enum class Outcome : std::uint8_t {
    open,
    done,    // `rows`; what it changed is committed
    failed,  // `failure`, its own
    again,   // nothing of it remains, because of somebody else: run it again
    alone,   // nothing of it remains, and a connection of its own may suit it better
  };
  const std::string* text = nullptr;  // outlives the group
  std::vector<Value> parameters;
  Deadline deadline;  // may come closer while the group runs; then Session::hurry()
  Outcome outcome = Outcome::open;
  bool unfit = false;  // with `alone`: the server refuses it in company, now and later
  bool slow = false;   // with `alone`: it ran when the group lost patience
  Rows rows;
  std::exception_ptr failure;

  const std::string& sql() const noexcept { return *text; }
};

// A message of LISTEN/NOTIFY.
struct Notification {
  std::string channel;
  std::string payload;
};

class Session : public pool::Connection {
 public:
  // Executes one statement, prepared and cached by its text. Throws SqlError (the connection stays usable unless
  // `broken` is set), TimedOut past the deadline after the statement was cancelled on the server.
  virtual awaitable<Rows> run(Statement statement, Deadline deadline) = 0;
  // The same for a text that outlives the call, so that a driver need not copy it. The default does.
  virtual awaitable<Rows> run_text(const std::string& sql, std::vector<Value> parameters, Deadline deadline) {
    return run(Statement(sql, std::move(parameters)), deadline);
  }
  // Several statements separated by ';', no parameters, no result: for schema creation.
  virtual awaitable<void> run_script(std::string sql, Deadline deadline) = 0;
  virtual awaitable<void> begin(TransactionOptions options, Deadline deadline) = 0;
  virtual awaitable<void> commit(Deadline deadline) = 0;
  virtual awaitable<void> rollback(Deadline deadline) = 0;
  virtual Dialect dialect() const noexcept = 0;
  virtual bool in_transaction() const noexcept = 0;
  // A result is being read in pieces, and refers to it.
  bool being_read() const noexcept { return readers_ > 0; }
  // Nothing runs on it, and nothing refers to it but through its lease: no result is being read, nothing is being inserted or
  // listened for. Then it may be taken away from a leaked lease.
  bool at_rest() const noexcept { return !broken && readers_ == 0 && !bulk_open_ && idle(); }
  // It is broken from now on: what runs on it should fail soon. Must neither wait nor complete anything inside the call.
  virtual void interrupt() noexcept {}

  // What not every backend has; the defaults throw SqlError(execute, other) that says so, or do it with run().

  // Runs one statement and gives its rows in pieces, in bounded memory. Throws like run(). `deadline` bounds what opening it waits for,
  // `overall` (or never) the whole result, however slowly it is read.
  virtual awaitable<std::unique_ptr<RowSource>> open_stream(Statement statement, Deadline deadline, Deadline overall);
  // Rows into a table, as fast as the backend can: bulk_begin, bulk_rows as often as there are rows, bulk_end, in a transaction
  // that the caller has begun. bulk_end returns the number of rows. After an error only the transaction's end may follow.
  // The default is INSERT with many rows.
  virtual awaitable<void> bulk_begin(BulkTarget target, Deadline deadline);
  virtual awaitable<void> bulk_rows(std::vector<Value> cells, Deadline deadline);  // row after row
  virtual awaitable<std::uint64_t> bulk_end(Deadline deadline);
  // Runs statements whose Sharing allows it together, and returns when each has its outcome; the members outlive it. `chained`: each in
  // a transaction of its own; else all are reads. One alone runs like by run(). Past `patience`, and past a member's deadline,
  // what runs is cancelled on the server. Throws only what concerns all of them (then each that is still open has failed with it).
  virtual awaitable<void> run_group(std::span<GroupMember* const> members, bool chained, Duration patience);
  // A deadline of a member of the running group has changed. No group: nothing.
  virtual void hurry() noexcept {}
  // Begins to listen; next_notification() waits for a message, TimedOut at the deadline.
  virtual awaitable<void> listen(std::string channel, Deadline deadline);
  virtual awaitable<Notification> next_notification(Deadline deadline);

 protected:
  // "name" or `name`, inner quotes doubled.
  std::string quoted(const std::string& name) const;
  // No call is waited for, and none has left anything open.
  virtual bool idle() const noexcept { return false; }

 private:
  friend class RowSource;
  BulkTarget bulk_;
  bool bulk_open_ = false;  // between the default bulk_begin() and bulk_end(); one that was abandoned counts until the next
  std::uint32_t readers_ = 0;
  std::uint64_t bulk_count_ = 0;
};

// After a statement of autocommit: a BEGIN in it would make what comes next run on another connection, and roll back in silence.
// Then the connection is broken, and SqlError says why.
void refuse_open_transaction(Session& session);

inline RowSource::RowSource(Session& session) noexcept : read_(session) { ++session.readers_; }
inline RowSource::~RowSource() { --read_.readers_; }

// What an SQL driver's connector derives from, so that context().sql(name) can tell that the pool speaks SQL.
class SqlConnector : public pool::Connector {
 public:
  virtual Dialect dialect() const noexcept = 0;
  // True: `Session::run` of such a statement may be called on one connection by many at a time, outside of transactions; the
  // driver performs them together (SQLite's writes). The default: never. Not asked where sharing("SELECT 1") is not none and pipelining is on.
  virtual bool gathers(const Statement&) const noexcept { return false; }
  void interrupt(pool::Connection& connection) noexcept override { static_cast<Session&>(connection).interrupt(); }
  bool may_reclaim(const pool::Connection& connection) const noexcept override { return static_cast<const Session&>(connection).at_rest(); }
  // What the text alone tells; asked once for each text. The default: none, and Session::run_group is never called.
  virtual Sharing sharing(std::string_view /*sql*/) const { return Sharing::none; }
};

}  // namespace sluice::sql
