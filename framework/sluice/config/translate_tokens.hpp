// The words of a program in Python, JavaScript, PHP, Go or Java: as much as their literals have in common.
#pragma once

#include <sluice/config/problems.hpp>

#include <optional>
#include <string>
#include <vector>

namespace sluice::config {

struct Token {
  enum class Kind { end, word, string, pattern, number, sign };  // pattern: a string with expressions in it
  Kind kind = Kind::end;
  std::string text;  // words with their dots: process.env.HOME; of patterns the expressions as ${…}
  int line = 1;
  bool starts_line = false;

  bool is(std::string_view sign) const { return kind == Kind::sign && text == sign; }
  bool is_string() const { return kind == Kind::string || kind == Kind::pattern; }
};

// Ends with a token `end`. A string without its end is a problem; then nothing is returned.
std::optional<std::vector<Token>> tokens_of(const std::string& content, const std::string& file, Problems& problems);

}  // namespace sluice::config
