#include "support/sqlite.hpp"

#include <sqlite3.h>

#include <memory>
#include <stdexcept>

namespace sluice::test {

std::vector<std::vector<std::string>> query_sqlite(const std::string& file, const std::string& sql) {
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> db(raw, sqlite3_close);
  const auto fail = [&] { throw std::runtime_error("query of the test failed: " + std::string(sqlite3_errmsg(db.get())) + "\n" + sql); };
  if (opened != SQLITE_OK) fail();
  sqlite3_busy_timeout(db.get(), 200);
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v2(db.get(), sql.c_str(), -1, &prepared, nullptr) != SQLITE_OK) fail();
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(prepared, sqlite3_finalize);
  std::vector<std::vector<std::string>> rows;
  int rc = SQLITE_OK;
  while ((rc = sqlite3_step(statement.get())) == SQLITE_ROW) {
    auto& cells = rows.emplace_back();
    for (int c = 0; c < sqlite3_column_count(statement.get()); ++c) {
      const unsigned char* text = sqlite3_column_text(statement.get(), c);
      cells.emplace_back(text, text + sqlite3_column_bytes(statement.get(), c));
    }
  }
  if (rc != SQLITE_DONE) fail();
  return rows;
}

}  // namespace sluice::test
