#include <sluice/drivers/mysql/leaves_state.hpp>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

namespace sluice::mysql {
namespace {

struct Token {
  enum class Kind : std::uint8_t { word, quoted, sign } kind;
  std::string text;  // words and what is quoted in upper case; a sign is one character

  bool is(std::string_view upper) const noexcept { return kind == Kind::word && text == upper; }
  bool is_sign(char c) const noexcept { return kind == Kind::sign && text.front() == c; }
};
using Piece = std::span<const Token>;

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || (static_cast<unsigned char>(c) & 0x80) != 0; }

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

// Nothing: the server may see it differently, or runs what stands in a comment.
std::optional<std::vector<Token>> tokens_of(std::string_view sql, bool escapes) {
  std::vector<Token> tokens;
  for (std::size_t at = 0; at < sql.size();) {
    const char c = sql[at];
    if (static_cast<unsigned char>(c) <= ' ') {
      ++at;
    } else if (c == '#' || (sql.substr(at, 2) == "--" && (at + 2 == sql.size() || static_cast<unsigned char>(sql[at + 2]) <= ' '))) {
      at = std::min(sql.find('\n', at), sql.size());
    } else if (sql.substr(at, 2) == "/*") {
      const std::size_t end = sql.find("*/", at + 2);
      if (end == sql.npos || sql.substr(at, 3) == "/*!" || sql.substr(at, 4) == "/*M!") return std::nullopt;
      at = end + 2;
    } else if (c == '\'' || c == '"' || c == '`') {
      // A doubled quote begins the next piece of the same text.
      std::size_t end = at + 1;
      while (end < sql.size() && sql[end] != c) end += escapes && c != '`' && sql[end] == '\\' ? 2 : 1;
      if (end >= sql.size()) return std::nullopt;
      if (c != '\'') tokens.push_back({Token::Kind::quoted, upper(sql.substr(at + 1, end - at - 1))});
      at = end + 1;
    } else if (is_name(c)) {
      std::size_t end = at;
      while (end < sql.size() && is_name(sql[end])) ++end;
      tokens.push_back({Token::Kind::word, upper(sql.substr(at, end - at))});
      at = end;
    } else {
      tokens.push_back({Token::Kind::sign, std::string(1, c)});
      ++at;
    }
  }
  return tokens;
}

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
