#include <sluice/sql/stream.hpp>

#include <utility>

namespace sluice::sql {

Stream::Stream(pool::Lease lease, std::unique_ptr<RowSource> source, std::shared_ptr<StatementWatch> watch, StatementWatch::Running running,
               Duration statement_timeout, Deadline overall) noexcept
    : watch_(std::move(watch)),
      running_(std::move(running)),
      lease_(std::move(lease)),
      source_(std::move(source)),
      statement_timeout_(statement_timeout),
      overall_(overall) {}

Deadline Stream::deadline() const noexcept {
  if (!overall_.is_never()) return overall_;
  return statement_timeout_ > Duration::zero() ? Deadline::after(statement_timeout_) : Deadline::never();
}

void Stream::end() noexcept {
  source_.reset();
  running_.reset();
  lease_.release();
}

awaitable<std::optional<Row>> Stream::next() {
  if (at_ == piece_.size()) {
    piece_ = Rows();  // its memory goes before the next piece comes
    at_ = 0;
    piece_ = co_await next_rows();
    if (piece_.empty()) co_return std::nullopt;
  }
  co_return piece_[at_++];
}

awaitable<Rows> Stream::next_rows() {
  if (at_ < piece_.size()) {  // the rest of what next() began
    Rows rest = piece_.from(at_);
    at_ = piece_.size();
    co_return rest;
  }
  if (!source_) co_return Rows();
  // Whatever ends this coroutine but an orderly answer ends the stream.
  struct Guard {
    Stream* stream;
    ~Guard() {
      if (stream) stream->end();
    }
  } guard{this};
  std::shared_ptr<const ResultSet> set = co_await source_->next(deadline());
  if (set) {
    guard.stream = nullptr;
    co_return Rows(std::move(set));
  }
  refuse_open_transaction();
  running_->succeeded();
  co_return Rows();
}

// Of a stream with a connection of its own; within a transaction it is the transaction's.
void Stream::refuse_open_transaction() {
  if (lease_) sql::refuse_open_transaction(static_cast<Session&>(lease_.connection()));
}

awaitable<void> Stream::close() {
  if (!source_) co_return;
  struct Guard {
    Stream* stream;
    ~Guard() { stream->end(); }
  } const guard{this};
  piece_ = Rows();
  at_ = 0;
  co_await source_->stop(deadline());
  if (lease_ && !lease_->broken) refuse_open_transaction();
  running_->succeeded();
}

}  // namespace sluice::sql
