// Results in pieces: the statement stays where it is between two of them.
#include <sluice/drivers/sqlite/handle.hpp>

#include <utility>

namespace sluice::sqlite {
namespace {

constexpr std::size_t rows_at_once = 512;
constexpr std::size_t bytes_at_once = 64 * 1024;

std::size_t size_of(const sql::Value& value) noexcept {
  if (const auto* s = std::get_if<std::string>(&value)) return s->size();
  const auto* b = std::get_if<sql::Bytes>(&value);
  return b ? b->size() : 0;
}

}  // namespace

std::shared_ptr<const sql::ResultSet> Handle::stream_begin(sql::Statement statement, const Stop& stop) {
  stream_end();
  {
    const Call call(*this, stop);
    require_live_transaction(statement.sql);
    streamed_ = std::move(statement);
    Prepared* const prepared = bound(streamed_);
    if (!prepared) return nullptr;
    if (prepared->reads_only())
      streaming_ = prepared;
    else
      prepared->reset();
  }
  if (streaming_) return stream_next(stop);
  const sql::Statement writing = std::exchange(streamed_, {});
  std::shared_ptr<sql::ResultSet> all = run_to_end(writing, stop);
  if (all->row_count == 0) all.reset();
  return all;
}

std::shared_ptr<const sql::ResultSet> Handle::stream_next(const Stop& stop) {
  if (stream_error_) std::rethrow_exception(std::exchange(stream_error_, nullptr));
  if (!streaming_) return nullptr;
  const Call call(*this, stop);
  struct Guard {  // any error ends the stream
    Handle* handle;
    ~Guard() {
      if (handle) handle->stream_end();
    }
  } guard{this};
  sqlite3_stmt* const raw = streaming_->get();
  const bool fresh = sqlite3_stmt_busy(raw) == 0;
  const TimePoint began = Clock::now();
  auto set = std::make_shared<sql::ResultSet>();
  std::size_t bytes = 0;
  int rc = stop.now() ? SQLITE_INTERRUPT : SQLITE_ROW;
  while (rc == SQLITE_ROW && set->row_count < rows_at_once && bytes < bytes_at_once) {
    rc = sqlite3_step(raw);
    const int busy = rc & 0xff;
    if (fresh && set->row_count == 0 && (busy == SQLITE_BUSY || busy == SQLITE_PROTOCOL) && autocommit() && pause(began)) {
      sqlite3_reset(raw);
      rc = SQLITE_ROW;
      continue;
    }
    if (rc != SQLITE_ROW) break;
    if (set->columns.empty()) set->columns = streaming_->columns();
    const int columns = static_cast<int>(set->columns.size());
    for (int i = 0; i < columns; ++i) bytes += size_of(set->cells.emplace_back(streaming_->value(i)));
    ++set->row_count;
  }
  if (rc == SQLITE_DONE && !explicit_) {
    const std::string sql = streamed_.sql;  // the rollback ends the stream
    refuse_open_transaction(sql);
  }
  if (rc == SQLITE_ROW) guard.handle = nullptr;
  if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
    if (set->row_count == 0) set.reset();
    return set;
  }
  try {
    fail(sql::Phase::fetch, rc, streamed_.sql);
  } catch (...) {
    if (set->row_count == 0) throw;
    stream_end();
    guard.handle = nullptr;
    stream_error_ = std::current_exception();
  }
  return set;
}

void Handle::stream_end() noexcept {
  if (streaming_) std::exchange(streaming_, nullptr)->reset();
  streamed_ = {};
  stream_error_ = nullptr;
}

}  // namespace sluice::sqlite
