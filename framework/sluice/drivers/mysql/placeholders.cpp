#include <sluice/drivers/mysql/placeholders.hpp>

#include <sluice/core/text.hpp>
#include <sluice/sql/error.hpp>

#include <algorithm>

namespace sluice::mysql {
namespace {

constexpr unsigned highest_number = 65535;  // the protocol counts parameters in 16 bits

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_name(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

// Past the text in quotes that starts at `at`; a doubled quote is two pieces side by side. An unfinished one runs to the end.
std::size_t past_quoted(std::string_view sql, std::size_t at, bool escapes) noexcept {
  const char quote = sql[at];
  for (std::size_t i = at + 1; i < sql.size(); ++i) {
    if (escapes && quote != '`' && sql[i] == '\\') {
      ++i;
    } else if (sql[i] == quote) {
      return i + 1;
    }
  }
  return sql.size();
}

// The position after the quoted or commented piece or the name that starts at `at`, or `at` if none does.
std::size_t skip_opaque(std::string_view sql, std::size_t at, bool escapes) noexcept {
  const auto past = [&](std::string_view close, std::size_t from) {
    const std::size_t found = sql.find(close, from);
    return found == sql.npos ? sql.size() : found + close.size();
  };
  switch (sql[at]) {
    case '\'':
    case '"':
    case '`': return past_quoted(sql, at, escapes);
    case '#': return past("\n", at + 1);
    case '-':
      if (sql.substr(at, 2) == "--" && (at + 2 == sql.size() || static_cast<unsigned char>(sql[at + 2]) <= ' ')) return past("\n", at + 2);
      return at;
    case '/':
      // What stands in /*! … */ is run: only its marks are a comment.
      if (sql.substr(at, 3) == "/*!" || sql.substr(at, 4) == "/*M!") return at;
      return sql.substr(at, 2) == "/*" ? past("*/", at + 2) : at;
    default: break;
  }
  std::size_t end = at;
  while (end < sql.size() && (is_name(sql[end]) || (end > at && sql[end] == '$'))) ++end;
  return end;
}

[[noreturn]] void refuse(std::string_view sql, const std::string& reason) {
  const std::string shown = sql::shorten(std::string(sql));
  throw sql::SqlError(sql::Phase::encode, sql::Class::syntax, "", 0, text(reason, " (in: ", shown, ")"), shown);
}

}  // namespace

Translated translate(std::string_view sql, bool backslash_escapes) {
  Translated out;
  out.sql.reserve(sql.size());
  std::size_t at = 0;
  while (at < sql.size()) {
    if (const std::size_t end = skip_opaque(sql, at, backslash_escapes); end > at) {
      out.sql += sql.substr(at, end - at);
      at = end;
      continue;
    }
    if (sql[at] == '?') refuse(sql, "'?' is no placeholder here: write $1, $2, …");
    if (sql[at] != '$' || at + 1 == sql.size() || !is_digit(sql[at + 1])) {
      out.sql += sql[at++];
      continue;
    }
    unsigned number = 0;
    std::size_t end = at + 1;
    for (; end < sql.size() && is_digit(sql[end]); ++end) number = std::min(number * 10 + static_cast<unsigned>(sql[end] - '0'), highest_number + 1);
    if (number == 0 || number > highest_number)
      refuse(sql, text("placeholder ", sql.substr(at, end - at), " is not between $1 and $", highest_number));
    out.sql += '?';
    out.order.push_back(number - 1);
    out.highest = std::max(out.highest, number);
    at = end;
  }
  if (out.order.size() > highest_number) refuse(sql, text("placeholders occur ", out.order.size(), " times, more than ", highest_number));
  return out;
}

}  // namespace sluice::mysql
