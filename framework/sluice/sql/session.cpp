#include <sluice/core/text.hpp>
#include <sluice/sql/error.hpp>
#include <sluice/sql/session.hpp>

#include <algorithm>

namespace sluice::sql {
namespace {

// One statement's parameters: below every backend's limit (SQLite 32766, PostgreSQL and MySQL 65535).
constexpr std::size_t parameters_at_once = 4096;

[[noreturn]] void not_here(const char* what, Dialect dialect) {
  constexpr const char* names[] = {"PostgreSQL", "MySQL", "SQLite"};
  throw SqlError(Phase::execute, Class::other, "0A000", 0, text(what, " is not there on ", names[static_cast<unsigned>(dialect)]));
}

}  // namespace

void refuse_parameter(const SqlError& failure, std::size_t number, std::string_view sql) {
  throw SqlError(failure.phase(), failure.error_class(), failure.sqlstate(), failure.native_code(),
                 text("parameter $", number, ": ", failure.what()), shorten(std::string(sql)));
}

const char* to_sql(Isolation level) noexcept {
  constexpr const char* names[] = {"READ COMMITTED", "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"};
  return names[static_cast<unsigned>(level)];
}

void refuse_open_transaction(Session& session) {
  if (!session.in_transaction()) return;
  session.broken = true;
  throw SqlError(Phase::execute, Class::other, "25001", 0,
                 "a single statement left a transaction open; its connection is closed, and what it did is rolled back: use begin() or "
                 "transaction()");
}

std::string Session::quoted(const std::string& name) const {
  const char mark = dialect() == Dialect::mysql ? '`' : '"';
  if (name.empty() || name.find('\0') != std::string::npos)
    throw SqlError(Phase::encode, Class::syntax, "", 0, "a table or column has an empty name, or a zero byte in it");
  std::string out(1, mark);
  for (const char c : name) out.append(c == mark ? 2 : 1, c);
  return out + mark;
}

awaitable<std::unique_ptr<RowSource>> Session::open_stream(Statement, Deadline, Deadline) {
  not_here("streaming", dialect());
  co_return nullptr;
}

awaitable<void> Session::bulk_begin(BulkTarget target, Deadline) {
  bulk_ = std::move(target);
  bulk_count_ = 0;
  bulk_open_ = true;
  co_return;
}

awaitable<void> Session::bulk_rows(std::vector<Value> cells, Deadline deadline) {
  const std::size_t width = bulk_.columns.size();
  std::string head = text("INSERT INTO ", bulk_.schema.empty() ? "" : quoted(bulk_.schema) + ".", quoted(bulk_.table), " (");
  for (std::size_t c = 0; c < width; ++c) head += text(c ? ", " : "", quoted(bulk_.columns[c]));
  head += ") VALUES ";
  // Whole rows only, and sizes that repeat: the statement is prepared once.
  const std::size_t most = std::max<std::size_t>(parameters_at_once / width, 1) * width;
  for (std::size_t at = 0; at < cells.size(); at += most) {
    const std::size_t count = std::min(most, cells.size() - at);
    std::string sql = head;
    for (std::size_t i = 0; i < count; ++i) sql += text(i % width ? ", " : i ? ", (" : "(", "$", i + 1, i % width == width - 1 ? ")" : "");
    const auto first = cells.begin() + static_cast<std::ptrdiff_t>(at);
    std::vector<Value> parameters(std::make_move_iterator(first), std::make_move_iterator(first + static_cast<std::ptrdiff_t>(count)));
    Statement statement(std::move(sql), std::move(parameters));
    const Rows rows = co_await run(std::move(statement), deadline);
    bulk_count_ += rows.affected();
  }
}

awaitable<std::uint64_t> Session::bulk_end(Deadline) {
  bulk_open_ = false;
  co_return bulk_count_;
}

awaitable<void> Session::run_group(std::span<GroupMember* const>, bool, Duration) {
  not_here("a group of statements", dialect());
  co_return;
}

awaitable<void> Session::listen(std::string, Deadline) {
  not_here("LISTEN", dialect());
  co_return;
}

awaitable<Notification> Session::next_notification(Deadline) {
  not_here("LISTEN", dialect());
  co_return Notification{};
}

}  // namespace sluice::sql
