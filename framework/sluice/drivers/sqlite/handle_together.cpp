// Many writes, one COMMIT: what a durable write costs is the wait for the disk, and that is shared. Nobody is answered before the
// COMMIT. A write that fails by itself fails alone; where SQLite gave up the whole transaction (disk full, a deadline in the middle of a
// change, a foreign key looked at only by COMMIT), nothing of it remains and the others are performed one by one.
#include <sluice/drivers/sqlite/handle.hpp>

#include <utility>

namespace sluice::sqlite {

void Handle::run_alone(Write& write) noexcept {
  try {
    write.rows = run(write.statement, write.stop);
  } catch (...) {
    write.error = std::current_exception();
  }
}

void Handle::run_together(const std::vector<Write*>& writes) {
  if (writes.size() > 1 && !in_transaction() && commit_together(writes)) return;
  for (Write* write : writes)
    if (!write->error) run_alone(*write);
}

bool Handle::commit_together(const std::vector<Write*>& writes) {
  stream_end();
  const Stop never;
  const Call call(*this, never);
  require_open("BEGIN IMMEDIATE");
  // The gate and the lock are waited for as long as the first of them may wait; the others' turn comes with it or after it.
  std::size_t first = 0;
  for (; first < writes.size(); ++first) {
    stop_ = &writes[first]->stop;
    try {
      enter_gate(writes[first]->statement.sql);
      execute("BEGIN IMMEDIATE", sql::Phase::execute);
      break;
    } catch (...) {
      writes[first]->error = std::current_exception();
      if (broken_) return false;
    }
  }
  for (std::size_t i = first; i < writes.size(); ++i) {
    Write& write = *writes[i];
    stop_ = &write.stop;
    try {
      const std::shared_ptr<sql::ResultSet> result = run_inside(write.statement);
      write.rows = sql::Rows(result);
    } catch (...) {
      write.error = std::current_exception();
    }
    if (autocommit()) return false;  // SQLite rolled everything back
  }
  stop_ = &never;
  if (first == writes.size() || execute_raw("COMMIT") == SQLITE_OK) return true;
  sqlite3_exec(db_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  if (!autocommit()) broken_ = true;
  return false;
}

std::shared_ptr<sql::ResultSet> Handle::run_inside(const sql::Statement& statement) {
  auto result = std::make_shared<sql::ResultSet>();
  Prepared* const prepared = bound(statement);
  if (!prepared) return result;
  struct Finish {
    Prepared& prepared;
    ~Finish() { prepared.reset(); }
  } const finish{*prepared};
  const sqlite3_int64 changes = sqlite3_total_changes64(db_.get());
  const int rc = stop_->now() ? SQLITE_INTERRUPT : step_to_end(*prepared, *result);
  if (rc != SQLITE_DONE) fail(sql::Phase::execute, rc, statement.sql);
  note_changes(changes, *result);
  return result;
}

}  // namespace sluice::sqlite
