#include <sluice/core/text.hpp>
#include <sluice/sql/bulk_insert.hpp>

#include <utility>

namespace sluice::sql {

// A transaction of its own ends with the failure, not with the object: it may hold locks.
struct BulkInsert::FailureEnds {
  BulkInsert* bulk;
  ~FailureEnds() {
    if (!bulk) return;
    bulk->own_.reset();
    bulk->running_.reset();
  }
};

BulkTarget bulk_target(std::string_view table, std::vector<std::string> columns) {
  if (columns.empty()) throw SqlError(Phase::encode, Class::syntax, "", 0, text("bulk insert into ", table, ": no columns were named"));
  BulkTarget target;
  const std::size_t dot = table.find('.');
  if (dot != std::string_view::npos) target.schema = std::string(table.substr(0, dot));
  target.table = std::string(table.substr(dot == std::string_view::npos ? 0 : dot + 1));
  target.columns = std::move(columns);
  return target;
}

std::string describe(const BulkTarget& target) {
  std::string out = text("bulk insert into ", target.schema.empty() ? "" : target.schema + ".", target.table, " (");
  for (std::size_t c = 0; c < target.columns.size(); ++c) out += text(c ? ", " : "", target.columns[c]);
  return out + ")";
}

BulkInsert::BulkInsert(std::optional<Transaction> own, Session& session, std::size_t columns, Duration statement_timeout,
                       std::shared_ptr<StatementWatch> watch, StatementWatch::Running running) noexcept
    : watch_(std::move(watch)),
      running_(std::move(running)),
      own_(std::move(own)),
      session_(&session),
      columns_(columns),
      statement_timeout_(statement_timeout) {}

Deadline BulkInsert::deadline() const noexcept {
  return statement_timeout_ > Duration::zero() ? Deadline::after(statement_timeout_) : Deadline::never();
}

void BulkInsert::begin_row(std::size_t values) {
  if (!session_) throw Error("the bulk insert is over: it was finished, or failed");
  if (values != columns_)
    throw SqlError(Phase::encode, Class::syntax, "", 0, text("bulk insert: ", values, " values were given for ", columns_, " columns"));
}

void BulkInsert::append(Value value) {
  if (const auto* s = std::get_if<std::string>(&value)) batch_bytes_ += s->size();
  if (const auto* b = std::get_if<Bytes>(&value)) batch_bytes_ += b->size();
  batch_bytes_ += sizeof(Value);
  batch_.push_back(std::move(value));
}

awaitable<void> BulkInsert::send_if_full() {
  if (full()) co_await flush();
}

awaitable<void> BulkInsert::flush() {
  if (!session_) throw Error("the bulk insert is over: it was finished, or failed");
  if (batch_.empty()) co_return;
  Session* const session = std::exchange(session_, nullptr);  // over, unless this goes well
  const std::size_t rows = batch_.size() / columns_;
  std::vector<Value> cells = std::exchange(batch_, {});
  batch_bytes_ = 0;
  FailureEnds guard{this};
  co_await session->bulk_rows(std::move(cells), deadline());
  guard.bulk = nullptr;
  session_ = session;
  sent_ += rows;
  if (observer_) observer_(sent_);
}

awaitable<std::uint64_t> BulkInsert::finish() {
  co_await flush();
  Session* const session = std::exchange(session_, nullptr);
  FailureEnds guard{this};
  const std::uint64_t rows = co_await session->bulk_end(deadline());
  if (own_) co_await own_->commit();
  guard.bulk = nullptr;
  running_->succeeded();
  running_.reset();
  co_return rows;
}

}  // namespace sluice::sql
