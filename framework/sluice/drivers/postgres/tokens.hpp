// A statement's text as PostgreSQL's scanner sees it: words, quoted names and signs, without literals, numbers and comments. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::postgres {

struct Token {
  enum class Kind : std::uint8_t { word, quoted, sign } kind;
  std::string text;  // words in lower case; a sign is one character; quoted: the name between double quotes

  bool is_word(std::string_view lower) const noexcept { return kind == Kind::word && text == lower; }
  bool is_sign(char c) const noexcept { return kind == Kind::sign && text.front() == c; }
};

struct Scan {
  std::vector<Token> tokens;
  unsigned highest = 0;  // of the placeholders $1, $2, …
  bool sure = true;      // false: the server may see it differently (a literal without end, a backslash before a quote, a name in escapes)
  bool plain = true;     // nothing but simple literals and comments: no escape strings, dollar quotes, nested comments
};
Scan scan(std::string_view sql);

}  // namespace sluice::postgres
