#include <sluice/drivers/mysql/tokens.hpp>

#include <algorithm>
#include <cctype>

namespace sluice::mysql {
namespace {

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || (static_cast<unsigned char>(c) & 0x80) != 0; }

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

}  // namespace

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

}  // namespace sluice::mysql
