#include <sluice/core/text.hpp>
#include <sluice/sql/error.hpp>
#include <sluice/sql/placeholders.hpp>

#include <algorithm>

namespace sluice::sql {
namespace {

constexpr unsigned highest_number = 32766;  // SQLite's SQLITE_MAX_VARIABLE_NUMBER; PostgreSQL allows 65535

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_name(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

// The position after the quoted or commented piece that starts at `at`, or `at` if none does. An unfinished one runs to the end.
std::size_t skip_opaque(std::string_view sql, std::size_t at) noexcept {
  const auto past = [&](std::string_view close, std::size_t from) {
    const std::size_t found = sql.find(close, from);
    return found == std::string_view::npos ? sql.size() : found + close.size();
  };
  switch (sql[at]) {
    case '\'': return past("'", at + 1);  // a doubled quote is two pieces side by side
    case '"': return past("\"", at + 1);
    case '`': return past("`", at + 1);
    case '[': return past("]", at + 1);
    case '-': return sql.substr(at, 2) == "--" ? past("\n", at + 2) : at;
    case '/': return sql.substr(at, 2) == "/*" ? past("*/", at + 2) : at;
    default: break;
  }
  std::size_t end = at;
  while (end < sql.size() && (is_name(sql[end]) || (end > at && sql[end] == '$'))) ++end;
  return end;
}

}  // namespace

Placeholders translate_placeholders(std::string_view sql, char marker) {
  Placeholders out;
  out.sql.reserve(sql.size());
  std::size_t at = 0;
  while (at < sql.size()) {
    if (const std::size_t end = skip_opaque(sql, at); end > at) {
      out.sql += sql.substr(at, end - at);
      at = end;
      continue;
    }
    if (sql[at] != '$' || at + 1 == sql.size() || !is_digit(sql[at + 1])) {
      out.sql += sql[at++];
      continue;
    }
    unsigned number = 0;
    std::size_t end = at + 1;
    for (; end < sql.size() && is_digit(sql[end]); ++end) number = std::min(number * 10 + static_cast<unsigned>(sql[end] - '0'), highest_number + 1);
    if (number == 0 || number > highest_number)
      throw SqlError(Phase::encode, Class::syntax, "", 0, text("placeholder ", sql.substr(at, end - at), " is not between $1 and $", highest_number),
                     shorten(std::string(sql)));
    out.sql += marker;
    out.sql += sql.substr(at + 1, end - at - 1);
    out.highest = std::max(out.highest, number);
    at = end;
  }
  return out;
}

void check_parameter_count(unsigned highest, std::size_t given, const std::string& sql) {
  if (highest == given) return;
  const std::string were = text(given, given == 1 ? " parameter was given" : " parameters were given");
  const std::string message = highest > given
                                  ? text("statement has $", highest, " but ", were)
                                  : text("statement uses ", highest == 0 ? "no parameter" : text("$1 to $", highest, " only"), " but ", were);
  throw SqlError(Phase::encode, Class::syntax, "", 0, text(message, " (in: ", shorten(sql), ")"), shorten(sql));
}

}  // namespace sluice::sql
