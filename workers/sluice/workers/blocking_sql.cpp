#include <sluice/workers/blocking_sql.hpp>

namespace sluice {

using blocking::Held;
using blocking::Until;

// ---- BlockingStream

std::optional<sql::Row> BlockingStream::next() {
  if (at_ == piece_.size()) {
    piece_ = sql::Rows();  // its memory goes before the next piece comes
    at_ = 0;
    piece_ = next_rows();
    if (piece_.empty()) return std::nullopt;
  }
  return piece_[at_++];
}

sql::Rows BlockingStream::next_rows() {
  if (at_ < piece_.size()) return piece_.from(std::exchange(at_, piece_.size()));  // the rest of what next() began
  if (!stream_) return {};
  Held<sql::Stream> stream = std::move(stream_);  // over, unless rows come
  sql::Rows rows = stream.run([](sql::Stream& s) { return s.next_rows(); });
  if (!rows.empty()) stream_ = std::move(stream);
  return rows;
}

void BlockingStream::close() {
  piece_ = sql::Rows();
  at_ = 0;
  if (!stream_) return;
  Held<sql::Stream> stream = std::move(stream_);
  stream.run([](sql::Stream& s) { return s.close(); });
}

// ---- BlockingBulkInsert

void BlockingBulkInsert::require_open() const {
  if (!bulk_) throw Error("the bulk insert is over: it was finished, or failed");
}

void BlockingBulkInsert::flush() {
  require_open();
  Held<sql::BulkInsert> bulk = std::move(bulk_);  // over, unless this goes well
  bulk.run([](sql::BulkInsert& b) { return b.flush(); });
  bulk_ = std::move(bulk);
  const std::uint64_t before = std::exchange(sent_, bulk_->sent());
  if (observer_ && sent_ != before) observer_(sent_);
}

std::uint64_t BlockingBulkInsert::finish() {
  flush();
  Held<sql::BulkInsert> bulk = std::move(bulk_);
  return bulk.run([](sql::BulkInsert& b) { return b.finish(); });
}

// ---- BlockingListener

void BlockingListener::add(std::string channel) {
  listener_.run([channel = std::move(channel)](sql::Listener& l) { return l.add(channel); });
}

sql::Notification BlockingListener::next() {
  return listener_.run([](sql::Listener& l) { return l.next(); }, Until::stopping);
}

sql::Notification BlockingListener::next(Within limit) {
  return listener_.run([limit](sql::Listener& l) { return l.next(limit); }, Until::stopping);
}

// ---- BlockingTransaction

Held<sql::Transaction>& BlockingTransaction::held() {
  if (!transaction_) throw Error("the transaction is over: it was committed, rolled back or moved from");
  return transaction_;
}

Held<sql::Transaction> BlockingTransaction::take() { return std::move(held()); }

sql::Rows BlockingTransaction::run(sql::Statement statement, std::optional<Within> limit) {
  return held().run([statement = std::move(statement), limit](sql::Transaction& t) mutable { return t.run(std::move(statement), limit); });
}

BlockingStream BlockingTransaction::stream(sql::Statement statement, std::optional<Within> limit) {
  return BlockingStream(
      held().hold([statement = std::move(statement), limit](sql::Transaction& t) mutable { return t.stream(std::move(statement), limit); }));
}

BlockingBulkInsert BlockingTransaction::bulk_insert(std::string table, std::vector<std::string> columns) {
  return BlockingBulkInsert(held().hold([table = std::move(table), columns = std::move(columns)](sql::Transaction& t) mutable {
    return t.bulk_insert(std::move(table), std::move(columns));
  }));
}

sql::Savepoint BlockingTransaction::savepoint() {
  return held().run([](sql::Transaction& t) { return t.savepoint(); });
}

void BlockingTransaction::rollback_to(sql::Savepoint to) {
  held().run([to](sql::Transaction& t) { return t.rollback_to(to); });
}

void BlockingTransaction::release(sql::Savepoint savepoint) {
  held().run([savepoint](sql::Transaction& t) { return t.release(savepoint); });
}

void BlockingTransaction::commit() {
  Held<sql::Transaction> transaction = take();
  transaction.run([](sql::Transaction& t) { return t.commit(); });
}

void BlockingTransaction::rollback() {
  Held<sql::Transaction> transaction = take();
  transaction.run([](sql::Transaction& t) { return t.rollback(); });
}

// ---- BlockingDatabase

sql::Rows BlockingDatabase::run(sql::Statement statement, std::optional<Within> limit, boost::source_location where) {
  return calls_->run([db = db_, statement = std::move(statement), limit, where]() mutable { return db->run(std::move(statement), limit, where); });
}

BlockingStream BlockingDatabase::stream(sql::Statement statement, std::optional<Within> limit, boost::source_location where) {
  return BlockingStream(calls_->hold(
      [db = db_, statement = std::move(statement), limit, where]() mutable { return db->stream(std::move(statement), limit, where); }));
}

BlockingBulkInsert BlockingDatabase::bulk_insert(std::string table, std::vector<std::string> columns, boost::source_location where) {
  return BlockingBulkInsert(calls_->hold([db = db_, table = std::move(table), columns = std::move(columns), where]() mutable {
    return db->bulk_insert(std::move(table), std::move(columns), where);
  }));
}

BlockingListener BlockingDatabase::listen(std::string channel, boost::source_location where) {
  return BlockingListener(
      calls_->hold([db = db_, channel = std::move(channel), where]() mutable { return db->listen(std::move(channel), where); }));
}

BlockingTransaction BlockingDatabase::begin(sql::TransactionOptions options, boost::source_location where) {
  return BlockingTransaction(calls_->hold([db = db_, options, where] { return db->begin(options, where); }));
}

BlockingTransaction BlockingDatabase::begin(Within limit, sql::TransactionOptions options, boost::source_location where) {
  return BlockingTransaction(calls_->hold([db = db_, limit, options, where] { return db->begin(limit, options, where); }));
}

}  // namespace sluice
