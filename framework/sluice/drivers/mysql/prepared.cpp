// Prepared statements: preparing, running, reading, letting go.
#include <sluice/drivers/mysql/exchange.hpp>
#include <sluice/drivers/mysql/sharing.hpp>

#include <sluice/core/text.hpp>
#include <sluice/sql/placeholders.hpp>

#include <mysql.h>

#include <algorithm>

namespace sluice::mysql {
namespace {

constexpr unsigned not_preparable = 1295;  // ER_UNSUPPORTED_PS

// INSERT … RETURNING gives rows and changes them.
bool changes_rows(std::string_view sql) {
  const std::size_t begin = std::min(sql.find_first_not_of(" \t\r\n("), sql.size());
  std::string word;
  for (const char c : sql.substr(begin, 7)) word += static_cast<char>(c & ~0x20);
  return word.starts_with("INSERT") || word.starts_with("DELETE") || word.starts_with("UPDATE") || word.starts_with("REPLACE");
}

}  // namespace

Report report_of(MYSQL_STMT* s) { return {mysql_stmt_errno(s), mysql_stmt_sqlstate(s), mysql_stmt_error(s)}; }

Prepared::~Prepared() {
  if (handle) mysql_stmt_close(handle);
}

void MysqlSession::check_size(std::size_t bytes, const std::string& sql) const {
  if (max_packet_ == 0 || bytes + 1024 < max_packet_) return;
  const std::string shown = sql::shorten(sql);
  throw sql::SqlError(sql::Phase::encode, sql::Class::type, "08S01", 1153,
                      sluice::text("the statement with its parameters has ", bytes,
                                   " bytes; the server takes less than max_allowed_packet = ", max_packet_, " in: ", shown),
                      shown);
}

// From the cache, or prepared now (and kept, if there is room at all). Null: the server cannot prepare such statements. Whoever looks
// into the cache first saves a coroutine.
awaitable<MysqlSession::PreparedRef> MysqlSession::prepare(const std::string& sql, Deadline deadline, Company company) {
  if (PreparedRef known = cache_.find(sql)) co_return known;
  MYSQL* const m = wire_->get();
  Translated translated = translate(sql, backslash_escapes());
  check_size(translated.sql.size(), sql);
  const bool plain = !leaves_state(sql, backslash_escapes());
  bool read = plain && sharing_of(sql) == sql::Sharing::reads;
  // The server refuses already to prepare what writes.
  if (!read && reads_only_ && company == Company::none) co_await keep_to_reads(false, deadline);
  // One that a group has in its hands is the group's to let go.
  if (PreparedRef victim = cache_.take_victim(); victim && victim.use_count() == 1) co_await forget(victim);
  for (bool again : {true, false}) {
    MYSQL_STMT* const s = mysql_stmt_init(m);
    if (!s) throw Error("out of memory");
    auto prepared = std::make_shared<Prepared>(sql, translated, s);
    prepared->plain = plain;
    prepared->read = read;
    int failed = 0;
    const std::string& sent = prepared->translated.sql;
    auto step = [&](int ready) {
      return ready ? mysql_stmt_prepare_cont(&failed, s, ready) : mysql_stmt_prepare_start(&failed, s, sent.data(), sent.size());
    };
    Call call = start(step);
    if (!call.done()) co_await finish(call, sql, deadline);
    if (!failed) {
      unfinished_ = false;
      if (mysql_stmt_param_count(s) != prepared->translated.order.size()) {
        const std::string shown = sql::shorten(sql);
        co_await forget(prepared);
        throw sql::SqlError(sql::Phase::prepare, sql::Class::syntax, "07001", 0, "the server sees other placeholders than $1, $2, …: in: " + shown,
                            shown);
      }
      if (cache_.capacity() > 0) cache_.insert(prepared);
      co_return prepared;
    }
    const Report why = report_of(s);
    if (why.code == not_preparable || (is_too_many_prepared(why.code) && again && cache_.size() > 0)) {
      unfinished_ = false;
      co_await forget(prepared);
      if (why.code == not_preparable) co_return nullptr;
      while (PreparedRef one = cache_.take_last()) co_await forget(one);
      continue;
    }
    if (company == Company::none && again && is_our_mark(why)) {
      unfinished_ = false;
      co_await forget(prepared);
      co_await keep_to_reads(false, deadline);
      read = false;
      continue;
    }
    fail(why, sql::Phase::prepare, sql);
  }
  co_return nullptr;  // not reached
}

// Tells the server; it gives no answer to that.
awaitable<void> MysqlSession::forget(PreparedRef prepared) {
  MYSQL_STMT* const s = prepared->handle;
  my_bool failed = 0;
  auto step = [&](int ready) { return ready ? mysql_stmt_close_cont(&failed, s, ready) : mysql_stmt_close_start(&failed, s); };
  const bool before = unfinished_;
  const std::string asked = "(closing a prepared statement)";
  prepared->handle = nullptr;
  Call call = start(step);
  if (!call.done()) co_await finish(call, asked, Deadline::after(close_timeout_));
  unfinished_ = before;
}

int MysqlSession::Execution::operator()(int ready) {
  return ready ? mysql_stmt_execute_cont(&failed, statement, ready) : mysql_stmt_execute_start(&failed, statement);
}

// REQUIRES: the parameters outlive it.
MysqlSession::Execution MysqlSession::execution(const Prepared& prepared, Parameters& parameters) {
  MYSQL_STMT* const s = prepared.handle;
  if (!prepared.translated.order.empty()) mysql_stmt_bind_param(s, parameters.bindings());
  // Forgets the columns that it saw last time: where the table has others now, the library would give up the answer (2057),
  // though the statement has run.
  s->field_count = 0;
  return Execution{s};
}

// A statement that the server has refused to execute: once more where its prepared form is stale, or it writes where its words do not
// show it and the session is still read-only for those before it. In both cases nothing of it remains.
awaitable<void> MysqlSession::execute_again(PreparedRef& prepared, const sql::Statement& statement, Parameters& parameters, Deadline deadline) {
  const Report why = report_of(prepared->handle);
  if (is_our_mark(why)) {
    unfinished_ = false;
    prepared->read = false;
    co_await keep_to_reads(false, deadline);
  } else if (is_stale(why.code)) {
    unfinished_ = false;
    cache_.erase(statement.sql);
    co_await forget(prepared);
    prepared = co_await prepare(statement.sql, deadline);
  } else {
    fail(why, sql::Phase::execute, statement.sql);
  }
  if (!prepared) fail(why, sql::Phase::execute, statement.sql);
  Execution step = execution(*prepared, parameters);
  Call call = start(step);
  if (!call.done()) co_await finish(call, statement.sql, deadline);
  if (step.failed) fail(report_of(step.statement), sql::Phase::execute, statement.sql);
}

// The rows of the result that the library has read into its memory.
void MysqlSession::take_rows(Prepared& prepared, RowReader& reader, sql::ResultSet& set, const std::string& sql) {
  MYSQL_STMT* const s = prepared.handle;
  if (prepared.columns.list() != reader.columns()) prepared.columns = std::move(reader).columns();
  set.columns = prepared.columns;
  set.row_count = mysql_stmt_num_rows(s);
  set.cells.reserve(set.row_count * set.columns.size());
  for (;;) {
    const int fetched = mysql_stmt_fetch(s);
    if (fetched == MYSQL_NO_DATA) break;
    if (fetched == 1) fail(report_of(s), sql::Phase::fetch, sql);
    reader.read(set.cells);
  }
  if (set.row_count > 0) mysql_stmt_data_seek(s, 0);  // past the last row the library would keep them all until the statement runs again
  mysql_stmt_free_result(s);
  if (!changes_rows(sql)) return;
  set.affected = set.row_count;
  set.last_insert_id = static_cast<std::int64_t>(mysql_stmt_insert_id(s));
}

// Further results, as procedures give them; a last one without columns is only the procedure's own end. True: there were rows.
awaitable<bool> MysqlSession::skip_results(Prepared& prepared, const std::string& sql, Deadline deadline) {
  MYSQL_STMT* const s = prepared.handle;
  bool several = false;
  while (mysql_stmt_more_results(s)) {
    int failed = 0;
    auto next = [&](int ready) { return ready ? mysql_stmt_next_result_cont(&failed, s, ready) : mysql_stmt_next_result_start(&failed, s); };
    Call going_on = start(next);
    if (!going_on.done()) co_await finish(going_on, sql, deadline);
    if (failed > 0) fail(report_of(s), sql::Phase::fetch, sql);
    if (mysql_stmt_field_count(s) == 0) continue;
    several = true;
    auto store = [&](int ready) { return ready ? mysql_stmt_store_result_cont(&failed, s, ready) : mysql_stmt_store_result_start(&failed, s); };
    Call storing = start(store);
    if (!storing.done()) co_await finish(storing, sql, deadline);
    if (failed) fail(report_of(s), sql::Phase::fetch, sql);
    mysql_stmt_free_result(s);
  }
  co_return several;
}

// One coroutine for what every statement does: a further one for each step would cost as much as the step.
awaitable<std::shared_ptr<sql::ResultSet>> MysqlSession::run_once(PreparedRef& prepared, sql::Statement& statement, Deadline deadline) {
  const std::string& sql = statement.sql;
  refuse_late(deadline, sql);
  if (!limited_to(deadline, Reader::prompt)) co_await limit_on_server(deadline);
  prepared = cache_.find(sql);
  if (!prepared) prepared = co_await prepare(sql, deadline);
  if (reads_only_ && prepared && !prepared->read) co_await keep_to_reads(false, deadline);
  if (!prepared) {
    sql::check_parameter_count(0, statement.parameters.size(), sql);
    note_state(prepared, sql);
    co_return co_await text(sql, false, sql::Phase::execute, deadline);
  }
  sql::check_parameter_count(prepared->translated.highest, statement.parameters.size(), sql);
  Parameters parameters(std::move(statement.parameters), prepared->translated.order, sql);
  check_size(parameters.bytes(), sql);
  note_state(prepared, sql);
  Execution execute = execution(*prepared, parameters);
  Call executing = start(execute);
  if (!executing.done()) co_await finish(executing, sql, deadline);
  if (execute.failed) co_await execute_again(prepared, statement, parameters, deadline);
  MYSQL_STMT* const s = prepared->handle;
  auto set = std::make_shared<sql::ResultSet>();
  if (mysql_stmt_field_count(s) == 0) {
    set->affected = mysql_stmt_affected_rows(s);
    set->last_insert_id = static_cast<std::int64_t>(mysql_stmt_insert_id(s));
  } else {
    RowReader reader(s);
    int failed = 0;
    auto store = [&](int ready) { return ready ? mysql_stmt_store_result_cont(&failed, s, ready) : mysql_stmt_store_result_start(&failed, s); };
    Call storing = start(store);
    if (!storing.done()) co_await finish(storing, sql, deadline);
    if (failed) fail(report_of(s), sql::Phase::fetch, sql);
    take_rows(*prepared, reader, *set, sql);
  }
  bool several = false;
  if (mysql_stmt_more_results(s)) several = co_await skip_results(*prepared, sql, deadline);
  unfinished_ = false;
  if (several) refuse_several(sql);
  co_return set;
}

}  // namespace sluice::mysql
