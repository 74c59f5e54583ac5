// A result that is read in pieces: rows come from the socket as they are asked for.
#include <sluice/drivers/mysql/exchange.hpp>

#include <sluice/core/text.hpp>
#include <sluice/pool/statement_cancel.hpp>
#include <sluice/sql/placeholders.hpp>

#include <mysql.h>

#include <exception>
#include <optional>
#include <utility>

namespace sluice::mysql {
namespace {

constexpr std::size_t rows_at_once = 256;
constexpr std::size_t cells_at_once = 4096;

}  // namespace

class MysqlSession::Stream final : public sql::RowSource {
 public:
  Stream(MysqlSession& session, std::string sql)
      : sql::RowSource(session), session_(session), sql_(std::move(sql)), turn_(std::in_place, session, sql_) {}
  ~Stream() override {
    if (!turn_) return;
    // The server is still sending: only the end of the connection stops it.
    reader_.reset();
    session_.unfinished_ = true;
    turn_.reset();
  }

  awaitable<void> open(sql::Statement statement, Deadline deadline, Deadline overall) {
    session_.refuse_ended(sql_);
    std::exception_ptr failure;
    try {
      refuse_late(deadline, sql_);
      // The server counts the time of the whole statement, its reader's pauses included: only the limit of the whole is for it to keep.
      co_await session_.limit_on_server(overall, deadline, Reader::may_pause);
      prepared_ = co_await session_.prepare(sql_, deadline);
      if (!prepared_)
        throw sql::SqlError(sql::Phase::prepare, sql::Class::other, "0A000", 1295, "this statement cannot be streamed: " + sql::shorten(sql_),
                            sql::shorten(sql_));
      if (session_.reads_only_ && !prepared_->read) co_await session_.keep_to_reads(false, deadline);
      sql::check_parameter_count(prepared_->translated.highest, statement.parameters.size(), sql_);
      Parameters parameters(std::move(statement.parameters), prepared_->translated.order, sql_);
      session_.check_size(parameters.bytes(), sql_);
      session_.note_state(prepared_, sql_);
      Execution execute = session_.execution(*prepared_, parameters);
      Call executing = session_.start(execute);
      if (!executing.done()) co_await session_.finish(executing, sql_, deadline);
      if (execute.failed) co_await session_.execute_again(prepared_, statement, parameters, deadline);
      if (mysql_stmt_field_count(prepared_->handle) > 0) reader_.emplace(prepared_->handle);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) co_return;
    co_await end(true);
    std::rethrow_exception(std::exchange(failure, nullptr));
  }

  awaitable<std::shared_ptr<const sql::ResultSet>> next(Deadline deadline) override {
    if (held_back_) std::rethrow_exception(std::exchange(held_back_, nullptr));
    if (!turn_) co_return nullptr;
    auto set = std::make_shared<sql::ResultSet>();
    std::exception_ptr failure;
    bool last = !reader_;
    try {
      if (reader_) {
        set->columns = reader_->columns();
        last = co_await fetch(*set, deadline);
      }
    } catch (...) {
      failure = std::current_exception();
    }
    if (last || failure) co_await end(failure != nullptr);
    // The rows before an error are handed on first.
    held_back_ = std::exchange(failure, nullptr);
    if (set->row_count > 0) co_return set;
    if (held_back_) std::rethrow_exception(std::exchange(held_back_, nullptr));
    co_return nullptr;
  }

  awaitable<void> stop(Deadline deadline) override {
    if (!turn_) co_return;
    // With the server's help the rest is short; without a janitor it is read and thrown away, up to the deadline.
    if (reader_ && session_.cancel) pool::StatementCancel(*session_.cancel).ask();
    std::exception_ptr failure;
    try {
      sql::ResultSet unwanted;
      bool last = !reader_;
      while (!last) {
        refuse_late(deadline, sql_);
        unwanted.cells.clear();
        unwanted.row_count = 0;
        last = co_await fetch(unwanted, deadline);
      }
      co_await session_.settle_cancel(deadline);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!session_.unfinished_ && !session_.broken) co_await session_.settle_cancel(deadline);
    co_await end(failure != nullptr);
  }

 private:
  // Appends rows; true: the last one has been read, and the server owes nothing more.
  awaitable<bool> fetch(sql::ResultSet& set, Deadline deadline) {
    // The library takes what has come without waiting: let others have the loop between two pieces.
    const auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, use_awaitable);
    MYSQL_STMT* const s = prepared_->handle;
    const std::size_t most = std::max<std::size_t>(std::min(rows_at_once, cells_at_once / std::max<std::size_t>(reader_->columns().size(), 1)), 1);
    for (std::size_t rows = 0; rows < most; ++rows) {
      int fetched = 0;
      auto step = [&](int ready) { return ready ? mysql_stmt_fetch_cont(&fetched, s, ready) : mysql_stmt_fetch_start(&fetched, s); };
      Call call = session_.start(step);
      if (!call.done()) co_await session_.finish(call, sql_, deadline);
      if (fetched == 1) {
        // Of a result that is read row by row the library leaves the server's error with the connection.
        const Report own{mysql_stmt_errno(s), mysql_stmt_sqlstate(s), mysql_stmt_error(s)};
        session_.fail(own.code != 0 ? own : session_.report(), sql::Phase::fetch, sql_);
      }
      if (fetched == MYSQL_NO_DATA) co_return true;
      reader_->read(set.cells);
      ++set.row_count;
    }
    co_return false;
  }

  // Gives the session back.
  awaitable<void> end(bool failed) {
    reader_.reset();
    std::exception_ptr failure;
    try {
      if (!failed && prepared_ && mysql_stmt_more_results(prepared_->handle))
        co_await session_.skip_results(*prepared_, sql_, Deadline::after(session_.close_timeout_));
      if (!failed) session_.unfinished_ = false;
      if (!session_.unfinished_ && !session_.broken && prepared_ && prepared_->handle) {
        mysql_stmt_free_result(prepared_->handle);
        if (!session_.keeps(prepared_)) co_await session_.forget(prepared_);
      }
      if (failed && session_.began_ && !session_.broken && !session_.unfinished_) co_await session_.refresh_status();
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) session_.broken = true;
    session_.note_end(failed);
    turn_.reset();
  }

  MysqlSession& session_;
  std::string sql_;
  PreparedRef prepared_;
  std::optional<Turn> turn_;  // before the reader, after what it frees
  std::optional<RowReader> reader_;
  std::exception_ptr held_back_;
};

awaitable<std::unique_ptr<sql::RowSource>> MysqlSession::open_stream(sql::Statement statement, Deadline deadline, Deadline overall) {
  auto stream = std::make_unique<Stream>(*this, statement.sql);
  co_await stream->open(std::move(statement), deadline, overall);
  std::unique_ptr<sql::RowSource> source = std::move(stream);
  co_return source;
}

}  // namespace sluice::mysql
