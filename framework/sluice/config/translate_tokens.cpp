#include <sluice/config/translate_tokens.hpp>

#include <sluice/core/text.hpp>

#include <cctype>

namespace sluice::config {
namespace {

bool starts_word(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '$'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool in_word(char c) { return starts_word(c) || is_digit(c); }

class Lexer {
 public:
  Lexer(const std::string& content, const std::string& file, Problems& problems) : s_(content), file_(file), problems_(problems) {}

  std::optional<std::vector<Token>> run() {
    while (true) {
      skip_blank();
      token_ = Token{};
      token_.line = line_;
      token_.starts_line = starts_line_;
      starts_line_ = false;
      if (at_ == s_.size()) break;
      if (!read()) return std::nullopt;
      out_.push_back(token_);
    }
    out_.push_back(token_);
    return std::move(out_);
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < s_.size() ? s_[at_ + ahead] : '\0'; }
  bool looking_at(std::string_view what) const { return s_.compare(at_, what.size(), what) == 0; }

  void skip_blank() {
    while (at_ < s_.size()) {
      const char c = s_[at_];
      if (c == '\n') {
        ++line_;
        starts_line_ = true;
        ++at_;
      } else if (std::isspace(static_cast<unsigned char>(c)) || c == '\\') {
        ++at_;
      } else if (c == '#' || looking_at("//")) {
        at_ = std::min(s_.find('\n', at_), s_.size());
      } else if (looking_at("/*")) {
        const std::size_t end = std::min(s_.find("*/", at_ + 2), s_.size());
        for (; at_ < end; ++at_) line_ += s_[at_] == '\n';
        at_ = std::min(at_ + 2, s_.size());
      } else {
        break;
      }
    }
  }

  bool read() {
    const char c = s_[at_];
    if (c == '"' || c == '\'' || c == '`') return read_string(c == '`');
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return read_number();
    if (!starts_word(c)) return read_sign();
    const std::size_t begin = at_;
    while (in_word(peek()) || (peek() == '.' && starts_word(peek(1)))) ++at_;
    token_.text = s_.substr(begin, at_ - begin);
    const bool prefix = token_.text.size() <= 2 && token_.text.find_first_not_of("fFrRbBuU") == std::string::npos;
    if (prefix && (peek() == '"' || peek() == '\'')) return read_string(token_.text.find_first_of("fF") != std::string::npos);
    token_.kind = Token::Kind::word;
    return true;
  }

  bool read_number() {
    while (is_digit(peek()) || peek() == '.' || (peek() == '_' && is_digit(peek(1)))) {
      if (peek() != '_') token_.text += peek();
      ++at_;
    }
    while (peek() == 'L' || peek() == 'l' || peek() == 'n') ++at_;  // of Java and JavaScript
    token_.kind = Token::Kind::number;
    return true;
  }

  bool read_sign() {
    token_.kind = Token::Kind::sign;
    for (const std::string_view sign : {"===", "==", "=>", ":=", "->", "::", "||", "??", "&&", "!=", "<=", ">=", "..."}) {
      if (!looking_at(sign)) continue;
      token_.text = sign;
      at_ += sign.size();
      return true;
    }
    token_.text = std::string(1, s_[at_++]);
    return true;
  }

  // In a pattern {name} of Python and ${name} of JavaScript stand for values.
  bool read_string(bool pattern) {
    const std::string quote = s_.compare(at_, 3, std::string(3, s_[at_])) == 0 && s_[at_] != '`' ? std::string(3, s_[at_]) : std::string(1, s_[at_]);
    const int begin_line = line_;
    at_ += quote.size();
    token_.text.clear();
    token_.kind = Token::Kind::string;
    while (!looking_at(quote)) {
      if (at_ >= s_.size() || (s_[at_] == '\n' && quote.size() == 1 && quote != "`")) {
        problems_.add("", text("file ", file_, ":", begin_line, ": the string that begins here has no end; close it with ", quote));
        return false;
      }
      line_ += s_[at_] == '\n';
      if (s_[at_] == '\\' && at_ + 1 < s_.size()) {
        ++at_;
      } else if (pattern && (s_[at_] == '{' || looking_at("${"))) {
        at_ += s_[at_] == '$' ? 2 : 1;
        const std::size_t close = std::min(s_.find('}', at_), s_.size());
        token_.text += text("${", s_.substr(at_, close - at_), "}");
        token_.kind = Token::Kind::pattern;
        at_ = std::min(close + 1, s_.size());
        continue;
      }
      token_.text += s_[at_++];
    }
    at_ += quote.size();
    return true;
  }

  const std::string& s_;
  const std::string& file_;
  Problems& problems_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool starts_line_ = true;
  Token token_;
  std::vector<Token> out_;
};

}  // namespace

std::optional<std::vector<Token>> tokens_of(const std::string& content, const std::string& file, Problems& problems) {
  return Lexer(content, file, problems).run();
}

}  // namespace sluice::config
