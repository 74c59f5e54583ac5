#include <sluice/core/text.hpp>
#include <sluice/drivers/sqlite/error.hpp>
#include <sluice/drivers/sqlite/prepared.hpp>
#include <sluice/sql/placeholders.hpp>
#include <sluice/sql/row.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <variant>

namespace sluice::sqlite {
namespace {

Hint hint_of(const char* declared) {
  if (!declared) return Hint::none;
  std::string type = declared;
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (type == "BOOLEAN" || type == "BOOL") return Hint::boolean;
  if (type.starts_with("TIMESTAMP") || type.starts_with("DATETIME")) return Hint::timestamp;
  if (type == "DATE") return Hint::date;
  if (type == "TIME") return Hint::time;
  if (type == "UUID") return Hint::uuid;
  return Hint::none;
}

[[noreturn]] void unfit(int number, const char* what, const std::string& sql) {
  const std::string shown = sql::shorten(sql);
  throw sql::SqlError(sql::Phase::encode, sql::Class::type, "", 0, text("parameter $", number, ": ", what, " (in: ", shown, ")"), shown);
}

template <class T>
sql::Value value_or_text(const std::optional<T>& parsed, std::string_view s) {
  return parsed ? sql::Value(*parsed) : sql::Value(std::string(s));
}

}  // namespace

Prepared::Prepared(sqlite3* db, const std::string& sql, bool keep) {
  const sql::Placeholders translated = sql::translate_placeholders(sql, '?');
  const char* tail = nullptr;
  sqlite3_stmt* statement = nullptr;
  const unsigned flags = keep ? SQLITE_PREPARE_PERSISTENT : 0;
  const int rc = sqlite3_prepare_v3(db, translated.sql.c_str(), static_cast<int>(translated.sql.size()) + 1, flags, &statement, &tail);
  statement_.reset(statement);
  if (rc != SQLITE_OK) throw make_error(sql::Phase::prepare, db, rc, sql);
  if (!statement) return;
  parameters_ = std::max(translated.highest, static_cast<unsigned>(sqlite3_bind_parameter_count(statement)));

  // Blanks, comments and semicolons may follow; anything that compiles may not.
  while (tail && *tail) {
    sqlite3_stmt* second = nullptr;
    const int further = sqlite3_prepare_v3(db, tail, -1, 0, &second, &tail);
    sqlite3_finalize(second);
    if (further != SQLITE_OK || second)
      throw sql::SqlError(sql::Phase::prepare, sql::Class::syntax, "", SQLITE_ERROR, text("one statement at a time (in: ", sql::shorten(sql), ")"),
                          sql::shorten(sql));
  }
}

void Prepared::bind(int number, const sql::Value& parameter, const std::string& sql) {
  sqlite3_stmt* s = statement_.get();
  struct Binder {
    sqlite3_stmt* s;
    int n;
    const std::string& sql;
    int operator()(sql::Null) const { return sqlite3_bind_null(s, n); }
    int operator()(bool v) const { return sqlite3_bind_int(s, n, v ? 1 : 0); }
    int operator()(std::int64_t v) const { return sqlite3_bind_int64(s, n, v); }
    int operator()(double v) const {
      if (std::isnan(v)) unfit(n, "NaN, which SQLite would store as NULL", sql);
      return sqlite3_bind_double(s, n, v);
    }
    int operator()(const std::string& v) const {
      if (!sql::valid_utf8(v)) unfit(n, "text that is not valid UTF-8", sql);
      return sqlite3_bind_text64(s, n, v.data(), v.size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    int operator()(const sql::Bytes& v) const {
      // A null pointer would bind NULL.
      return v.empty() ? sqlite3_bind_zeroblob(s, n, 0) : sqlite3_bind_blob64(s, n, v.data(), v.size(), SQLITE_STATIC);
    }
    int operator()(sql::Timestamp v) const {
      const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(v));
      if (date.year() < std::chrono::year(0) || date.year() > std::chrono::year(9999)) unfit(n, "a timestamp outside of the years 0 to 9999", sql);
      return own(sql::format_timestamp(v));
    }
    int operator()(std::uint64_t) const { unfit(n, "an integer above 9223372036854775807, SQLite's largest", sql); }
    int operator()(const sql::Decimal& v) const { return own(v.text()); }
    int operator()(sql::Date v) const { return own(sql::format_date(v)); }
    int operator()(sql::Time v) const { return own(sql::format_time(v)); }
    int operator()(const sql::Uuid& v) const { return own(sql::format_uuid(v)); }
    int operator()(const sql::Array&) const { unfit(n, "an array, which SQLite does not have", sql); }
    int own(const std::string& t) const { return sqlite3_bind_text64(s, n, t.data(), t.size(), SQLITE_TRANSIENT, SQLITE_UTF8); }
  };
  if (const int rc = std::visit(Binder{s, number, sql}, parameter); rc != SQLITE_OK)
    throw make_error(sql::Phase::encode, sqlite3_db_handle(s), rc, sql);
}

int Prepared::reset() noexcept {
  const int rc = sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  return rc;
}

const sql::ColumnNames& Prepared::columns() {
  sqlite3_stmt* s = statement_.get();
  const int prepared = sqlite3_stmt_status(s, SQLITE_STMTSTATUS_REPREPARE, 0);
  if (prepared == described_) return columns_;
  std::vector<std::string> names;
  hints_.clear();
  for (int i = 0, n = sqlite3_column_count(s); i < n; ++i) {
    const char* name = sqlite3_column_name(s, i);
    names.emplace_back(name ? name : "");
    hints_.push_back(hint_of(sqlite3_column_decltype(s, i)));
  }
  columns_ = std::move(names);
  described_ = prepared;
  return columns_;
}

sql::Value Prepared::value(int column) const {
  sqlite3_stmt* s = statement_.get();
  const Hint hint = hints_[static_cast<std::size_t>(column)];
  switch (sqlite3_column_type(s, column)) {
    case SQLITE_INTEGER: {
      const std::int64_t v = sqlite3_column_int64(s, column);
      if (hint == Hint::boolean && (v == 0 || v == 1)) return v == 1;
      return v;
    }
    case SQLITE_FLOAT: return sqlite3_column_double(s, column);
    case SQLITE_TEXT: {
      const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(s, column));
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(s, column));
      const std::string_view view = data ? std::string_view(data, size) : std::string_view();
      if (!sql::valid_utf8(view)) {
        const auto* bytes = reinterpret_cast<const std::byte*>(data);
        return sql::Bytes(bytes, bytes + size);
      }
      switch (hint) {
        case Hint::timestamp: return value_or_text(sql::parse_timestamp(view), view);
        case Hint::date: return value_or_text(sql::parse_date(view), view);
        case Hint::time: return value_or_text(sql::parse_time(view), view);
        case Hint::uuid: return value_or_text(sql::parse_uuid(view), view);
        default: break;
      }
      return std::string(view);
    }
    case SQLITE_BLOB: {
      const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(s, column));
      const int size = sqlite3_column_bytes(s, column);
      return data ? sql::Bytes(data, data + size) : sql::Bytes();
    }
    default: return sql::Null{};
  }
}

Prepared& PreparedCache::get(sqlite3* db, const std::string& sql, const Altered& compiled) {
  if (const auto known = by_text_.find(sql); known != by_text_.end()) {
    const auto entry = known->second;
    if (!entry->once) {
      entries_.splice(entries_.begin(), entries_, entry);
      return entry->prepared;
    }
    by_text_.erase(known);
    entries_.erase(entry);
  }
  Prepared prepared(db, sql, capacity_ > 0);  // in the cache only once SQLite accepted it
  while (!entries_.empty() && entries_.size() >= std::max<std::size_t>(capacity_, 1)) {
    by_text_.erase(entries_.back().sql);
    entries_.pop_back();
  }
  entries_.push_front(Entry{sql, std::move(prepared), compiled != Altered::no});
  by_text_.emplace(entries_.front().sql, entries_.begin());
  return entries_.front().prepared;
}

void PreparedCache::clear() noexcept {
  by_text_.clear();
  entries_.clear();
}

}  // namespace sluice::sqlite
