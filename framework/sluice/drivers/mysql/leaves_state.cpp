#include <sluice/drivers/mysql/leaves_state.hpp>

#include <sluice/drivers/mysql/tokens.hpp>

#include <algorithm>
#include <span>
#include <unordered_set>

namespace sluice::mysql {
namespace {

using Piece = std::span<const Token>;

// First words of what ends with its transaction or concerns all sessions alike.
bool passes(std::string_view word) {
  static const std::unordered_set<std::string_view> words = {
      "SELECT",  "WITH",  "VALUES", "TABLE",    "INSERT", "UPDATE",   "DELETE",    "REPLACE", "DO",     "EXPLAIN", "DESCRIBE", "DESC",
      "ANALYZE", "SHOW",  "BEGIN",  "START",    "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "CREATE", "ALTER",   "DROP",     "TRUNCATE",
      "RENAME",  "GRANT", "REVOKE", "OPTIMIZE", "CHECK",  "REPAIR",   "CHECKSUM",  "HELP",    "LOAD",   "KILL"};
  return words.count(word) > 0;
}

bool leaves(Piece piece) {
  while (!piece.empty() && piece.front().is_sign('(')) piece = piece.subspan(1);
  if (piece.empty()) return false;
  const auto word_at = [&](std::size_t i, std::string_view word) { return i < piece.size() && piece[i].is(word); };
  if (word_at(0, "SET") && word_at(1, "STATEMENT")) {
    const auto inner = std::find_if(piece.begin(), piece.end(), [](const Token& token) { return token.is("FOR"); });
    return inner == piece.end() || leaves(piece.subspan(static_cast<std::size_t>(inner - piece.begin()) + 1));
  }
  if (piece[0].kind != Token::Kind::word || !passes(piece[0].text)) return true;
  if (word_at(0, "BEGIN") && piece.size() > 1 && !word_at(1, "WORK")) return true;  // BEGIN NOT ATOMIC …
  for (std::size_t i = 0; i < piece.size(); ++i) {
    if (piece[i].is_sign('@')) {
      if (i + 1 == piece.size() || !piece[i + 1].is_sign('@')) return true;
      ++i;  // @@name only reads
    } else if (piece[i].kind != Token::Kind::sign && (piece[i].text == "GET_LOCK" || piece[i].text.starts_with("SERVICE_GET_"))) {
      return true;
    } else if (piece[i].is("CREATE")) {
      if (word_at(i + 1, "TEMPORARY") || (word_at(i + 1, "OR") && word_at(i + 2, "REPLACE") && word_at(i + 3, "TEMPORARY"))) return true;
    }
  }
  return false;
}

}  // namespace

bool leaves_state(std::string_view sql, bool backslash_escapes) {
  const auto tokens = tokens_of(sql, backslash_escapes);
  if (!tokens) return true;
  const auto ends = [](const Token& token) { return token.is_sign(';'); };
  for (Piece rest = *tokens; !rest.empty();) {
    const auto size = static_cast<std::size_t>(std::find_if(rest.begin(), rest.end(), ends) - rest.begin());
    if (leaves(rest.first(size))) return true;
    rest = rest.subspan(std::min(size + 1, rest.size()));
  }
  return false;
}

}  // namespace sluice::mysql
