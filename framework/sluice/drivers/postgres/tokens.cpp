#include <sluice/drivers/postgres/tokens.hpp>

#include <algorithm>
#include <cctype>

namespace sluice::postgres {
namespace {

constexpr unsigned most_parameters = 65535;  // the protocol counts them in 16 bits

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool starts_name(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || (static_cast<unsigned char>(c) & 0x80) != 0; }
bool continues_name(char c) { return starts_name(c) || is_digit(c) || c == '$'; }

class Scanner {
 public:
  explicit Scanner(std::string_view sql) : sql_(sql) {}

  Scan run() {
    while (at_ < sql_.size()) step();
    return std::move(out_);
  }

 private:
  char here(std::size_t ahead = 0) const { return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0'; }
  // To the position found, or to the end, which nobody knows how the server reads.
  void go(std::size_t found) {
    if (found == sql_.npos) out_.sure = out_.plain = false;
    at_ = std::min(found, sql_.size());
  }

  void step() {
    const char c = here();
    if (is_space(c)) {
      ++at_;
    } else if (c == '-' && here(1) == '-') {
      at_ = std::min(sql_.find_first_of("\r\n", at_), sql_.size());
    } else if (c == '/' && here(1) == '*') {
      comment();
    } else if (c == '\'') {
      literal(false);
    } else if (c == '"') {
      quoted();
    } else if (c == '$') {
      dollar();
    } else if (is_digit(c)) {
      number();
    } else if (starts_name(c)) {
      word();
    } else {
      out_.tokens.push_back({Token::Kind::sign, std::string(1, c)});
      ++at_;
    }
  }

  void comment() {
    unsigned depth = 0;
    do {
      if (here() == '/' && here(1) == '*') {
        if (++depth > 1) out_.plain = false;
        at_ += 2;
      } else if (here() == '*' && here(1) == '/') {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
      if (at_ >= sql_.size() && depth > 0) return go(sql_.npos);
    } while (depth > 0);
  }

  // A doubled quote begins the next piece of the same literal.
  void literal(bool escapes) {
    for (++at_; at_ < sql_.size() && here() != '\''; ++at_) {
      if (here() != '\\') continue;
      out_.plain = false;
      if (escapes)
        ++at_;
      else if (here(1) == '\'')
        out_.sure = false;  // the literal's end, unless standard_conforming_strings is off or an escape string goes on here
    }
    go(at_ < sql_.size() ? at_ + 1 : sql_.npos);
  }

  void quoted() {
    const std::size_t end = sql_.find('"', at_ + 1);
    if (end != sql_.npos) out_.tokens.push_back({Token::Kind::quoted, std::string(sql_.substr(at_ + 1, end - at_ - 1))});
    go(end == sql_.npos ? end : end + 1);
  }

  // $1, or the begin of a text in dollar quotes.
  void dollar() {
    std::size_t end = at_ + 1;
    if (is_digit(here(1))) {
      unsigned number = 0;
      for (; end < sql_.size() && is_digit(sql_[end]); ++end)
        number = std::min(number * 10 + static_cast<unsigned>(sql_[end] - '0'), most_parameters + 1);
      out_.highest = std::max(out_.highest, number);
      at_ = end;
      return;
    }
    while (end < sql_.size() && sql_[end] != '$' && continues_name(sql_[end])) ++end;
    if (end >= sql_.size() || sql_[end] != '$') {
      out_.tokens.push_back({Token::Kind::sign, "$"});
      ++at_;
      return;
    }
    out_.plain = false;
    const std::string_view tag = sql_.substr(at_, end + 1 - at_);
    const std::size_t close = sql_.find(tag, end + 1);
    go(close == sql_.npos ? close : close + tag.size());
  }

  // Letters behind it begin a word, as before PostgreSQL 15.
  void number() {
    while (is_digit(here())) ++at_;
    if (here() != 'e' && here() != 'E') return;
    const std::size_t sign = here(1) == '+' || here(1) == '-' ? 1 : 0;
    if (!is_digit(here(1 + sign))) return;
    at_ += 1 + sign;
    while (is_digit(here())) ++at_;
  }

  void word() {
    std::string word;
    for (; continues_name(here()); ++at_) word += static_cast<char>(std::tolower(static_cast<unsigned char>(here())));
    if (here() == '\'' && (word == "e" || word == "b" || word == "x" || word == "n")) return literal(word == "e");
    if (word == "u" && here() == '&' && here(1) == '"') out_.sure = out_.plain = false;  // a name in escapes
    out_.tokens.push_back({Token::Kind::word, std::move(word)});
  }

  std::string_view sql_;
  std::size_t at_ = 0;
  Scan out_;
};

}  // namespace

Scan scan(std::string_view sql) { return Scanner(sql).run(); }

}  // namespace sluice::postgres
