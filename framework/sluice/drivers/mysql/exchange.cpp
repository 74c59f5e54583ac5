// How a session talks: suspended calls, deadlines, statements as text.
#include <sluice/drivers/mysql/exchange.hpp>

#include <sluice/core/text.hpp>
#include <sluice/pool/statement_cancel.hpp>

#include <mysql.h>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <bit>
#include <exception>
#include <utility>

namespace sluice::mysql {
namespace {

constexpr Duration cancel_patience = 2s;
constexpr Duration settle_look = 2ms;

using Result = std::unique_ptr<MYSQL_RES, void (*)(MYSQL_RES*)>;

// Up to an eighth more, so that the deadlines of like statements share one setting.
Duration rounded_up(Duration d) {
  const auto millis = std::max<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(d).count(), 1);
  const auto grid = std::max<std::int64_t>(static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(millis))) / 8, 1);
  return std::chrono::milliseconds((millis + grid - 1) / grid * grid);
}

std::shared_ptr<sql::ResultSet> decode(MYSQL_RES* result) {
  auto set = std::make_shared<sql::ResultSet>();
  const unsigned n = mysql_num_fields(result);
  const MYSQL_FIELD* fields = mysql_fetch_fields(result);
  std::vector<std::string> names;
  for (unsigned c = 0; c < n; ++c) names.emplace_back(fields[c].name, fields[c].name_length);
  set->columns = std::move(names);
  while (const MYSQL_ROW row = mysql_fetch_row(result)) {
    const unsigned long* lengths = mysql_fetch_lengths(result);
    for (unsigned c = 0; c < n; ++c) {
      if (!row[c])
        set->cells.emplace_back(sql::Null{});
      else
        set->cells.push_back(decode_text(fields[c].type, fields[c].flags, fields[c].charsetnr, std::string_view(row[c], lengths[c])));
    }
    ++set->row_count;
  }
  return set;
}

}  // namespace

TimedOut ended_late(const std::string& sql) {
  return TimedOut("the statement did not end before its deadline and was ended on the server: " + sql::shorten(sql));
}

TimedOut never_ended(const std::string& sql) {
  return TimedOut("the statement did not end before its deadline, and the server did not end it in time: " + sql::shorten(sql));
}

Deadline MysqlSession::last_word() const { return Deadline::after(std::min<Duration>(close_timeout_, cancel_patience)); }

Report MysqlSession::report() const { return {mysql_errno(wire_->get()), mysql_sqlstate(wire_->get()), mysql_error(wire_->get())}; }

// The server's answer is an error, so it owes no other; or the connection is gone.
void MysqlSession::fail(const Report& report, sql::Phase phase, const std::string& sql) {
  const std::string shown = sql::shorten(sql);
  if (is_lost(report.code) || report.code == 0) {
    broken = true;
    throw sql::SqlError(sql::Phase::lost, sql::Class::connection, report.sqlstate == "HY000" || report.sqlstate.empty() ? "08006" : report.sqlstate,
                        static_cast<int>(report.code), sluice::text("the connection was lost: ", report.message, " [", report.code, "] in: ", shown),
                        shown);
  }
  unfinished_ = false;
  // 1969 and 3024 say that the session's own limit of time did it; an interruption (1317) may also be somebody else's.
  if (is_interrupted(report.code) && (report.code != 1317 || timed_out_)) throw ended_late(sql);
  throw statement_error(report, phase, sql, show_values_);
}

void MysqlSession::refuse_several(const std::string& sql) {
  const std::string shown = sql::shorten(sql);
  throw sql::SqlError(sql::Phase::fetch, sql::Class::other, "0A000", 0,
                      "the statement ran, but gave several results, of which only one can be taken: " + shown, shown);
}

awaitable<void> MysqlSession::finish(Call& call, const std::string& sql, Deadline deadline) {
  Wake wake = Wake::ready;
  while (!call.done() && wake == Wake::ready) {
    wake = co_await call.wait(deadline);
    if (wake == Wake::ready) call.go_on();
  }
  if (wake == Wake::cancelled) throw boost::system::system_error(asio::error::operation_aborted);
  if (wake == Wake::expired) co_await expire(call, sql);
}

awaitable<void> MysqlSession::expire(Call& call, const std::string& sql) {
  // The server's own limit ends it now, or a little later, for it was rounded up; the janitor is faster where there is one.
  timed_out_ = true;
  if (cancel) pool::StatementCancel(*cancel).ask();
  const Deadline patience = last_word();
  const Wake late = co_await call.finish(patience);
  if (late == Wake::cancelled) throw boost::system::system_error(asio::error::operation_aborted);
  if (late == Wake::expired) throw never_ended(sql);
  co_await settle_cancel(patience);
}

// No KILL QUERY of ours may hit the connection's next statement.
awaitable<void> MysqlSession::settle_cancel(Deadline deadline) {
  if (!cancel) co_return;
  pool::StatementCancel request(*cancel);
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor);
  while (!request.settle()) {
    if (deadline.passed(Clock::now())) {
      broken = true;
      co_return;
    }
    timer.expires_after(settle_look);
    co_await timer.async_wait(use_awaitable);
  }
}

bool MysqlSession::limited_to(Deadline end, Reader reader) const noexcept {
  if (reader != reader_) return false;
  if (end.is_never()) return limit_ == Duration::zero();
  const Duration wanted = end.remaining(Clock::now());
  return limit_ >= wanted && limit_ <= wanted + wanted / 4 + 10ms;
}

// Before a statement: tells the server until when it may run, and for how long its answer may wait to be read, unless what is in force
// says the same. By itself the server closes a connection whose reader pauses for a minute (net_write_timeout).
awaitable<void> MysqlSession::limit_on_server(Deadline end, Deadline deadline, Reader reader) {
  if (limited_to(end, reader)) co_return;
  Duration wanted = limit_;
  if (!limited_to(end, reader_)) wanted = end.is_never() ? Duration::zero() : rounded_up(end.remaining(Clock::now()));
  std::string setting = limit_setup(mariadb_, wanted);
  if (reader != reader_) setting += reader == Reader::may_pause ? ", SESSION net_write_timeout = 31536000" : ", SESSION net_write_timeout = DEFAULT";
  co_await text(setting, false, sql::Phase::execute, deadline);
  limit_ = wanted;
  reader_ = reader;
}

awaitable<void> MysqlSession::keep_to_reads(bool on, Deadline deadline) {
  const std::string setting = on ? "SET SESSION tx_read_only = 1" : "SET SESSION tx_read_only = DEFAULT";
  refuse_late(deadline, setting);
  std::exception_ptr failure;
  try {
    co_await text(setting, false, sql::Phase::execute, deadline);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    broken = true;  // nobody knows what is in force
    std::rethrow_exception(std::exchange(failure, nullptr));
  }
  reads_only_ = on;
}

bool MysqlSession::is_our_mark(const Report& report) const noexcept { return reads_only_ && is_write_refused(report.code) && !in_transaction(); }

// Errors do not say whether the transaction still is one; any answer that is none does.
awaitable<void> MysqlSession::refresh_status() {
  const std::string nothing = "DO 0";
  bool failed = false;
  try {
    co_await text(nothing, false, sql::Phase::execute, last_word());
  } catch (const Error&) {
    failed = true;
  }
  if (failed) broken = true;
}

// One statement, or with `script` several, without parameters; of a script no result is kept.
awaitable<std::shared_ptr<sql::ResultSet>> MysqlSession::text(const std::string& sql, bool script, sql::Phase phase, Deadline deadline) {
  refuse_late(deadline, sql);
  MYSQL* const m = wire_->get();
  int failed = 0;
  auto send = [&](int ready) {
    return ready ? mysql_real_query_cont(&failed, m, ready) : mysql_real_query_start(&failed, m, sql.data(), sql.size());
  };
  Call sending = start(send);
  if (!sending.done()) co_await finish(sending, sql, deadline);
  if (failed) fail(report(), phase, sql);
  std::shared_ptr<sql::ResultSet> kept;
  bool several = false;
  for (;;) {
    if (mysql_field_count(m) > 0) {
      MYSQL_RES* raw = nullptr;
      auto store = [&](int ready) { return ready ? mysql_store_result_cont(&raw, m, ready) : mysql_store_result_start(&raw, m); };
      Call storing = start(store);
      if (!storing.done()) co_await finish(storing, sql, deadline);
      const Result result(raw, mysql_free_result);
      if (!result) fail(report(), sql::Phase::fetch, sql);
      several |= kept && !kept->columns.empty();
      if (!script) kept = decode(result.get());
    } else if (!kept) {
      kept = std::make_shared<sql::ResultSet>();
      kept->affected = mysql_affected_rows(m);
      kept->last_insert_id = static_cast<std::int64_t>(mysql_insert_id(m));
    }
    if (!mysql_more_results(m)) break;
    auto next = [&](int ready) { return ready ? mysql_next_result_cont(&failed, m, ready) : mysql_next_result_start(&failed, m); };
    Call going_on = start(next);
    if (!going_on.done()) co_await finish(going_on, sql, deadline);
    if (failed > 0) fail(report(), phase, sql);
  }
  unfinished_ = false;
  if (several && !script) refuse_several(sql);
  co_return kept;
}

awaitable<void> MysqlSession::switch_scripts(bool on, Deadline deadline) {
  MYSQL* const m = wire_->get();
  int failed = 0;
  const enum_mysql_set_option option = on ? MYSQL_OPTION_MULTI_STATEMENTS_ON : MYSQL_OPTION_MULTI_STATEMENTS_OFF;
  auto step = [&](int ready) { return ready ? mysql_set_server_option_cont(&failed, m, ready) : mysql_set_server_option_start(&failed, m, option); };
  const std::string asked = "(several statements at once)";
  Call call = start(step);
  if (!call.done()) co_await finish(call, asked, deadline);
  if (failed) fail(report(), sql::Phase::execute, asked);
  unfinished_ = false;
}

}  // namespace sluice::mysql
