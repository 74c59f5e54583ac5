// A statement's words, as MySQL and MariaDB would see them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::mysql {

struct Token {
  enum class Kind : std::uint8_t { word, quoted, sign } kind;
  std::string text;  // words and what is quoted in upper case; a sign is one character

  bool is(std::string_view upper) const noexcept { return kind == Kind::word && text == upper; }
  bool is_sign(char c) const noexcept { return kind == Kind::sign && text.front() == c; }
};

// Literals in single quotes and comments are left out. Nothing: the server may see it differently, or runs what stands in a comment.
// `backslash_escapes`: the session does not say NO_BACKSLASH_ESCAPES.
std::optional<std::vector<Token>> tokens_of(std::string_view sql, bool backslash_escapes);

}  // namespace sluice::mysql
