#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/drivers/sqlite/error.hpp>
#include <sluice/drivers/sqlite/handle.hpp>
#include <sluice/sql/placeholders.hpp>

#include <algorithm>
#include <thread>
#include <utility>

namespace sluice::sqlite {
namespace {

constexpr Duration longest_busy_wait = 60s;  // without a deadline
constexpr int steps_between_checks = 2000;   // of SQLite's virtual machine: some tens of microseconds

bool is_busy(int code) noexcept { return (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_PROTOCOL; }

}  // namespace

Handle::Handle(Location location, std::size_t statement_cache, std::shared_ptr<WriterGate> gate)
    : location_(std::move(location)), gate_(std::move(gate)), cache_(statement_cache), random_(std::random_device{}()) {}

// ---- opening and closing

void Handle::open(const Stop& stop) {
  const Call call(*this, stop);
  const bool read_only = location_.mode == OpenMode::read_only;
  const int mode = read_only                              ? SQLITE_OPEN_READONLY
                   : location_.mode == OpenMode::existing ? SQLITE_OPEN_READWRITE
                                                          : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* db = nullptr;
  const int rc = sqlite3_open_v2(location_.path.c_str(), &db, mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  db_.reset(db);
  if (rc != SQLITE_OK) fail_open(rc, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
  sqlite3_busy_handler(db, &Handle::on_busy, this);
  sqlite3_set_authorizer(db, &Handle::on_authorize, this);
  sqlite3_progress_handler(db, steps_between_checks, &Handle::on_progress, this);
  if (!read_only && sqlite3_db_readonly(db, "main") == 1) fail_open(SQLITE_READONLY, "the file can only be read");

  // The first look into the file: tells a database from something else. Turning WAL on fails without asking the busy handler
  // while another process does the same.
  int code = execute_raw("PRAGMA schema_version");
  if (code == SQLITE_OK && !read_only && !location_.memory) code = execute_raw("PRAGMA journal_mode=WAL");
  if (code != SQLITE_OK) fail_open(code, sqlite3_errmsg(db));
  apply_settings();
  if (read_only || location_.memory) return;
  Prepared mode_now(db, "PRAGMA journal_mode", false);
  sql::ResultSet answer;
  if (step_to_end(mode_now, answer) == SQLITE_DONE && !answer.cells.empty() && answer.cells[0] != sql::Value(std::string("wal")))
    log::warning(text("SQLite database ", location_.path,
                      " cannot use a write-ahead log (its file system has no shared memory?): readers and writers block each other"));
}

void Handle::fail_open(int code, const std::string& message) {
  const bool late = is_busy(code) || (code & 0xff) == SQLITE_INTERRUPT;
  const bool permanent = !late && (code & 0xff) != SQLITE_IOERR && (code & 0xff) != SQLITE_FULL;
  const std::string why =
      late ? text("cannot open SQLite database ", location_.path, ": another connection kept it locked until the deadline")
           : explain_cannot_open(location_.path, location_.mode == OpenMode::read_only, location_.mode == OpenMode::create, message);
  close();
  broken_ = true;
  throw pool::ConnectFailed(why, true, permanent);
}

void Handle::apply_settings() {
  int code = execute_raw("PRAGMA foreign_keys=ON");
  if (code == SQLITE_OK) code = execute_raw(location_.full_sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  if (code == SQLITE_OK) code = execute_raw("PRAGMA query_only=OFF");
  query_only_ = false;
  if (code != SQLITE_OK) fail_open(code, sqlite3_errmsg(db_.get()));
}

void Handle::close() noexcept {
  if (!db_) return;
  rollback();
  cache_.clear();
  db_.reset();
}

// ---- statements

sql::Rows Handle::run(const sql::Statement& statement, const Stop& stop) { return sql::Rows(run_to_end(statement, stop)); }

Prepared* Handle::bound(const sql::Statement& statement) {
  Prepared& prepared = prepare(statement.sql);
  if (prepared.parameters() != statement.parameters.size()) {
    sql::check_parameter_count(prepared.parameters(), statement.parameters.size(), statement.sql);
  }
  if (!prepared.get()) return nullptr;
  try {
    for (std::size_t i = 0; i < statement.parameters.size(); ++i) prepared.bind(static_cast<int>(i + 1), statement.parameters[i], statement.sql);
  } catch (...) {
    prepared.reset();
    throw;
  }
  return &prepared;
}

Prepared& Handle::prepare(const std::string& sql) {
  const Compiling compiling(*this);
  return cache_.get(db_.get(), sql, compiled_);
}

std::shared_ptr<sql::ResultSet> Handle::run_to_end(const sql::Statement& statement, const Stop& stop) {
  stream_end();
  const Call call(*this, stop);
  require_live_transaction(statement.sql);
  auto result = std::make_shared<sql::ResultSet>();
  Prepared* const prepared = bound(statement);
  if (!prepared) return result;

  struct Finish {
    Prepared& prepared;
    ~Finish() { prepared.reset(); }
  } const finish{*prepared};
  const bool alone = autocommit();
  if (alone && !prepared->reads_only()) enter_gate(statement.sql);
  const sqlite3_int64 changes = sqlite3_total_changes64(db_.get());
  const TimePoint began = Clock::now();
  int rc = SQLITE_INTERRUPT;
  if (!stop.now()) {
    // SQLite does not ask the busy handler where waiting could deadlock; a statement of its own may simply start again.
    while (is_busy(rc = step_to_end(*prepared, *result)) && alone && pause(began)) sqlite3_reset(prepared->get());
  }
  if (rc != SQLITE_DONE) fail(sql::Phase::execute, rc, statement.sql);
  if (alone) refuse_open_transaction(statement.sql);
  note_changes(changes, *result);
  return result;
}

void Handle::note_changes(sqlite3_int64 before, sql::ResultSet& out) const {
  if (sqlite3_total_changes64(db_.get()) == before) return;
  out.affected = static_cast<std::uint64_t>(sqlite3_changes64(db_.get()));
  out.last_insert_id = sqlite3_last_insert_rowid(db_.get());
}

int Handle::step_to_end(Prepared& prepared, sql::ResultSet& out) {
  out.cells.clear();
  out.row_count = 0;
  int rc = SQLITE_OK;
  while ((rc = sqlite3_step(prepared.get())) == SQLITE_ROW) {
    const int columns = static_cast<int>(prepared.columns().size());
    for (int i = 0; i < columns; ++i) out.cells.push_back(prepared.value(i));
    ++out.row_count;
  }
  if (rc == SQLITE_DONE) out.columns = prepared.columns();
  return rc;
}

void Handle::run_script(const std::string& script, const Stop& stop) {
  stream_end();
  const Call call(*this, stop);
  require_live_transaction(script);
  const bool alone = autocommit();
  if (alone) enter_gate(script);
  const char* rest = script.c_str();
  while (*rest) {
    const char* begin = rest;
    sqlite3_stmt* raw = nullptr;
    {
      const Compiling compiling(*this);
      if (const int rc = sqlite3_prepare_v2(db_.get(), begin, -1, &raw, &rest); rc != SQLITE_OK) fail(sql::Phase::prepare, rc, begin);
    }
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> one(raw, &sqlite3_finalize);
    if (!raw) continue;
    int rc = stop.now() ? SQLITE_INTERRUPT : SQLITE_ROW;
    while (rc == SQLITE_ROW) rc = sqlite3_step(raw);
    if (rc != SQLITE_DONE) fail(sql::Phase::execute, rc, std::string(begin, rest));
  }
  if (alone) refuse_open_transaction(script);
}

// ---- transactions

void Handle::begin(bool read_only, const Stop& stop) {
  stream_end();
  const Call call(*this, stop);
  require_open("BEGIN");
  if (in_transaction()) throw Error("this connection is in a transaction already");
  if (read_only || location_.mode == OpenMode::read_only) {
    query_only_ = true;
    execute("PRAGMA query_only=ON", sql::Phase::execute);
    execute("BEGIN DEFERRED", sql::Phase::execute);
  } else {
    enter_gate("BEGIN IMMEDIATE");
    execute("BEGIN IMMEDIATE", sql::Phase::execute);
  }
  explicit_ = true;
}

void Handle::commit(const Stop& stop) {
  stream_end();
  const Call call(*this, stop);
  require_open("COMMIT");
  if (explicit_ && autocommit()) {
    explicit_ = false;
    throw sql::SqlError(sql::Phase::commit, sql::Class::other, "", 0,
                        "nothing was committed: an earlier error or statement had ended the transaction", "COMMIT");
  }
  execute("COMMIT", sql::Phase::commit);
  explicit_ = false;
}

void Handle::rollback() noexcept {
  stream_end();
  const Stop never;
  const Call call(*this, never);
  explicit_ = false;
  if (!db_) return;
  if (!autocommit() && sqlite3_exec(db_.get(), "ROLLBACK", nullptr, nullptr, nullptr) != SQLITE_OK && !autocommit()) broken_ = true;
}

void Handle::require_open(const std::string& sql) const {
  if (!db_) throw sql::SqlError(sql::Phase::lost, sql::Class::connection, "", 0, "the connection is closed", sql::shorten(sql));
}

void Handle::require_live_transaction(const std::string& sql) const {
  require_open(sql);
  if (explicit_ && autocommit())
    throw sql::SqlError(sql::Phase::execute, sql::Class::other, "", 0,
                        text("the transaction is over: an earlier error or statement ended it; not run: ", sql::shorten(sql)), sql::shorten(sql));
}

void Handle::refuse_open_transaction(const std::string& sql) {
  if (autocommit()) return;
  rollback();
  throw sql::SqlError(sql::Phase::execute, sql::Class::other, "25001", 0,
                      text("rolled back: a statement outside of begin() opened a transaction (in: ", sql::shorten(sql), ")"), sql::shorten(sql));
}

// ---- state between users

void Handle::check(const std::string& validation_query, const Stop& stop) {
  require_open("PRAGMA schema_version");
  int moved = 0;
  if (!location_.memory && sqlite3_file_control(db_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved) {
    broken_ = true;
    throw Error(text("SQLite database ", location_.path, " was moved or deleted under its connection"));
  }
  const sql::Statement statement(validation_query.empty() ? "PRAGMA schema_version" : validation_query, {});
  const Altered before = altered_;
  run(statement, stop);
  altered_ = before;
}

void Handle::reset() {
  rollback();
  if (altered_ == Altered::lasting) {
    broken_ = true;
    throw Error("a statement attached a database, made a temporary table or changed a setting for good: the connection is replaced");
  }
  require_open("PRAGMA");
  const Stop never;
  const Call call(*this, never);
  apply_settings();
  altered_ = Altered::no;
}

Handle::Compiling::~Compiling() {
  handle_.compiling_ = false;
  Altered altered = handle_.compiled_;
  if (altered == Altered::lasting && handle_.location_.memory) altered = Altered::settings;  // a new connection would find an empty database
  handle_.altered_ = std::max(handle_.altered_, altered);
}

int Handle::on_authorize(void* self, int action, const char* first, const char* second, const char* schema, const char*) noexcept {
  auto* handle = static_cast<Handle*>(self);
  if (handle->compiling_) handle->compiled_ = std::max(handle->compiled_, alteration(action, first, second, schema));
  return SQLITE_OK;
}

void Handle::settle() noexcept {
  stop_ = nullptr;
  if (db_ && !autocommit()) return;
  if (db_ && query_only_) {
    query_only_ = false;
    if (sqlite3_exec(db_.get(), "PRAGMA query_only=OFF", nullptr, nullptr, nullptr) != SQLITE_OK) broken_ = true;
  }
  if (std::exchange(in_gate_, false)) gate_->leave();
}

// ---- waiting and failing

void Handle::enter_gate(const std::string& sql) {
  if (in_gate_) return;
  if (!gate_->enter(*stop_)) fail(sql::Phase::execute, SQLITE_BUSY, sql);
  in_gate_ = true;
}

bool Handle::pause(TimePoint since) noexcept {
  const TimePoint now = Clock::now();
  if (!stop_ || stop_->now()) return false;
  if (stop_->deadline.is_never() && now - since > longest_busy_wait) return false;
  const Duration nap = std::chrono::milliseconds(1) + std::chrono::microseconds(random_() % 9000);
  std::this_thread::sleep_for(std::min(nap, stop_->deadline.remaining(now)));
  return true;
}

int Handle::on_busy(void* self, int tries) noexcept {
  auto* handle = static_cast<Handle*>(self);
  if (tries == 0) handle->busy_since_ = Clock::now();
  return handle->pause(handle->busy_since_) ? 1 : 0;
}

int Handle::on_progress(void* self) noexcept {
  const Stop* stop = static_cast<Handle*>(self)->stop_;
  return stop && stop->now() ? 1 : 0;
}

int Handle::execute_raw(const char* sql) {
  const TimePoint began = Clock::now();
  int rc = SQLITE_OK;
  while (is_busy(rc = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr)) && pause(began)) {
  }
  return rc;
}

void Handle::execute(const char* sql, sql::Phase phase) {
  if (const int rc = stop_->now() ? SQLITE_INTERRUPT : execute_raw(sql); rc != SQLITE_OK) fail(phase, rc, sql);
}

void Handle::fail(sql::Phase phase, int code, const std::string& sql) {
  using sql::Class;
  if (ends_connection(code)) broken_ = true;
  const std::string statement = sql::shorten(sql);
  const bool stopped = (code & 0xff) == SQLITE_INTERRUPT;
  const bool in_time = !stopped && !(is_busy(code) && stop_->now());
  if (!in_time && phase == sql::Phase::commit)  // COMMIT takes effect whole or not at all; the transaction is still open
    throw sql::SqlError(phase, stopped ? Class::cancelled : Class::busy, "", code, "nothing was committed: the deadline came first", statement);
  if (!in_time && stop_->cancelled) throw sql::SqlError(phase, Class::cancelled, "", SQLITE_INTERRUPT, text("cancelled: ", statement), statement);
  if (!in_time)
    throw TimedOut(
        text(stopped ? "the statement was ended at its deadline: " : "another writer kept the database locked until the deadline of: ", statement));
  if ((code & 0xff) == SQLITE_READONLY && (query_only_ || location_.mode == OpenMode::read_only))
    throw sql::SqlError(phase, Class::permission, "", code,
                        text(query_only_ ? "the transaction" : "the database", " is read-only (in: ", statement, ")"), statement);
  throw make_error(phase, db_.get(), code, sql);
}

}  // namespace sluice::sqlite
