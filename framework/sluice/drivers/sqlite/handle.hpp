// One open database, used by one thread at a time; every call blocks until it is done or `stop` says so. Past the deadline
// calls throw TimedOut, when cancelled SqlError(cancelled); either way the handle stays usable.
//
// Other processes' writers are waited for (1 to 10 ms between tries) as long as the deadline allows, a minute without one.
#pragma once

#include <sluice/drivers/sqlite/alteration.hpp>
#include <sluice/drivers/sqlite/location.hpp>
#include <sluice/drivers/sqlite/prepared.hpp>
#include <sluice/drivers/sqlite/stop.hpp>
#include <sluice/drivers/sqlite/writer_gate.hpp>
#include <sluice/sql/error.hpp>
#include <sluice/sql/session.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace sluice::sqlite {

class Handle {
 public:
  Handle(Location location, std::size_t statement_cache, std::shared_ptr<WriterGate> gate);
  ~Handle() { close(); }

  // WAL, foreign keys on, synchronous as the url says. Throws pool::ConnectFailed with cause and remedy; then nothing is open.
  void open(const Stop& stop);
  // Autocommit unless begin() came before. A statement that would leave a transaction open is rolled back and refused.
  sql::Rows run(const sql::Statement& statement, const Stop& stop);
  // Rows in pieces: the first with the start, null after the last. Whatever else the handle is asked for ends it. A statement that
  // writes has run to its end with the first piece.
  std::shared_ptr<const sql::ResultSet> stream_begin(sql::Statement statement, const Stop& stop);
  std::shared_ptr<const sql::ResultSet> stream_next(const Stop& stop);
  void stream_end() noexcept;
  // A write that may share its COMMIT with others, and what came of it.
  struct Write {
    const sql::Statement& statement;
    const Stop& stop;
    sql::Rows rows = {};
    std::exception_ptr error = nullptr;
  };
  // Performs them in order, in as few transactions as possible; each fares as if it were alone. Outside of begin() only.
  void run_together(const std::vector<Write*>& writes);
  void run_script(const std::string& script, const Stop& stop);
  void begin(bool read_only, const Stop& stop);
  void commit(const Stop& stop);
  void rollback() noexcept;
  // Throws if the file is no longer the one at the path, or cannot be read.
  void check(const std::string& validation_query, const Stop& stop);
  // As after open(). Throws if a statement left something that only a new connection is free of (ATTACH, temporary tables).
  void reset();
  void close() noexcept;

  bool in_transaction() const noexcept { return explicit_ || (db_ && sqlite3_get_autocommit(db_.get()) == 0); }
  bool broken() const noexcept { return broken_; }
  bool altered() const noexcept { return altered_ != Altered::no; }
  const std::shared_ptr<WriterGate>& gate() const noexcept { return gate_; }

 private:
  // What is true between two calls: no gate held and nothing forbidden outside of a transaction.
  class Call {
   public:
    Call(Handle& handle, const Stop& stop) noexcept : handle_(handle) { handle_.stop_ = &stop; }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() { handle_.settle(); }

   private:
    Handle& handle_;
  };
  // While a statement of the user's is compiled: SQLite tells what it leaves behind. Some pragmas are in force at once, so this counts
  // also if it fails afterwards, or is not run.
  class Compiling {
   public:
    explicit Compiling(Handle& handle) noexcept : handle_(handle) {
      handle_.compiling_ = true;
      handle_.compiled_ = Altered::no;
    }
    Compiling(const Compiling&) = delete;
    Compiling& operator=(const Compiling&) = delete;
    ~Compiling();

   private:
    Handle& handle_;
  };
  struct Close {
    void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
  };

  static int on_busy(void* self, int tries) noexcept;
  static int on_progress(void* self) noexcept;
  static int on_authorize(void* self, int action, const char* first, const char* second, const char* schema, const char* trigger) noexcept;
  bool pause(TimePoint since) noexcept;
  void settle() noexcept;
  bool autocommit() const noexcept { return sqlite3_get_autocommit(db_.get()) != 0; }

  void apply_settings();
  int execute_raw(const char* sql);
  void execute(const char* sql, sql::Phase phase);
  void enter_gate(const std::string& sql);
  void require_open(const std::string& sql) const;
  void require_live_transaction(const std::string& sql) const;
  void refuse_open_transaction(const std::string& sql);
  std::shared_ptr<sql::ResultSet> run_to_end(const sql::Statement& statement, const Stop& stop);
  Prepared& prepare(const std::string& sql);
  // Prepared, with its parameters bound; `statement` must live until it is reset. Null: nothing to run.
  Prepared* bound(const sql::Statement& statement);
  void note_changes(sqlite3_int64 before, sql::ResultSet& out) const;
  int step_to_end(Prepared& prepared, sql::ResultSet& out);
  // One transaction over all of them. False: it had to be given up, nothing of it remains, and those without error are still to be performed.
  bool commit_together(const std::vector<Write*>& writes);
  void run_alone(Write& write) noexcept;
  std::shared_ptr<sql::ResultSet> run_inside(const sql::Statement& statement);
  [[noreturn]] void fail(sql::Phase phase, int code, const std::string& sql);
  [[noreturn]] void fail_open(int code, const std::string& message);

  Location location_;
  std::shared_ptr<WriterGate> gate_;
  std::unique_ptr<sqlite3, Close> db_;
  PreparedCache cache_;      // destroyed before db_
  sql::Statement streamed_;  // what `streaming_` is bound to
  Prepared* streaming_ = nullptr;
  std::exception_ptr stream_error_;  // met behind rows that were handed out first
  const Stop* stop_ = nullptr;
  TimePoint busy_since_{};
  bool explicit_ = false;  // between begin() and the end that was asked for, even if SQLite rolled back by itself
  bool in_gate_ = false;
  bool query_only_ = false;
  bool broken_ = false;
  bool compiling_ = false;
  Altered compiled_ = Altered::no;  // by the statement that was compiled last
  Altered altered_ = Altered::no;
  std::minstd_rand random_;
};

}  // namespace sluice::sqlite
