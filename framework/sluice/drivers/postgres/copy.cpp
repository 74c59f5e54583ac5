// Bulk rows by COPY … FROM STDIN in text format.
#include <sluice/core/text.hpp>
#include <sluice/drivers/postgres/turn.hpp>

#include <libpq-fe.h>

#include <charconv>
#include <utility>

namespace sluice::postgres {
namespace {

constexpr std::size_t bytes_at_once = 64 * 1024;

void append_cell(std::string& out, const sql::Value& value) {
  if (std::holds_alternative<sql::Null>(value)) {
    out += "\\N";
    return;
  }
  const auto* plain = std::get_if<std::string>(&value);
  for (const char c : plain ? *plain : format_value(value)) {
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default: out += c;
    }
  }
}

}  // namespace

// Until everything is sent, taking in what the server says meanwhile so that it never waits for us.
awaitable<void> PostgresSession::flush(const std::string& sql, Patience& patience) {
  for (;;) {
    const int pending = PQflush(wire_->get());
    if (pending < 0 || PQstatus(wire_->get()) != CONNECTION_OK) lost(nullptr, sql);
    if (pending == 0) co_return;
    co_await more(true, sql, patience);
  }
}

awaitable<void> PostgresSession::bulk_begin(sql::BulkTarget target, Deadline deadline) {
  std::string sql = text("COPY ", target.schema.empty() ? "" : quoted(target.schema) + ".", quoted(target.table), " (");
  for (std::size_t c = 0; c < target.columns.size(); ++c) sql += text(c ? ", " : "", quoted(target.columns[c]));
  sql += ") FROM STDIN";
  {
    const Turn turn(*this, sql);
    sent(PQsendQuery(libpq(sql), sql.c_str()), sql);
    Patience patience{deadline};
    while (PQflush(wire_->get()) == 1 || PQisBusy(wire_->get())) co_await more(PQflush(wire_->get()) == 1, sql, patience);
    const Result result(PQgetResult(wire_->get()));
    if (!result || PQresultStatus(result.get()) != PGRES_COPY_IN) {
      if (!result || ends_connection(result.get())) lost(result.get(), sql);
      co_await drain(sql, patience);
      answered(result.get(), sql);
      throw error(result.get(), sql::Phase::prepare, sql);
    }
  }
  // The Turn's end has left it broken; bulk_end() makes it whole again.
  running_ = true;
  copy_sql_ = std::move(sql);
  copy_width_ = target.columns.size();
}

awaitable<void> PostgresSession::bulk_rows(std::vector<sql::Value> cells, Deadline deadline) {
  Patience patience{deadline};
  std::string lines;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    append_cell(lines, cells[i]);
    lines += i % copy_width_ == copy_width_ - 1 ? '\n' : '\t';
    if (lines.size() < bytes_at_once && i + 1 < cells.size()) continue;
    if (PQputCopyData(wire_->get(), lines.data(), static_cast<int>(lines.size())) != 1) lost(nullptr, copy_sql_);
    lines.clear();
    co_await flush(copy_sql_, patience);
  }
}

awaitable<std::uint64_t> PostgresSession::bulk_end(Deadline deadline) {
  const std::string sql = std::exchange(copy_sql_, {});
  if (PQputCopyEnd(wire_->get(), nullptr) != 1) lost(nullptr, sql);
  running_ = false;
  broken = false;
  const Turn turn(*this, sql);  // ends it as any statement
  Result result = co_await exchange(sql, deadline);
  check(result.get(), sql::Phase::execute, sql);
  std::uint64_t rows = 0;
  const std::string_view count = PQcmdTuples(result.get());
  std::from_chars(count.data(), count.data() + count.size(), rows);
  co_return rows;
}

}  // namespace sluice::postgres
