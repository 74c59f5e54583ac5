#include <sluice/admin/presentable.hpp>

#include <algorithm>
#include <cctype>

namespace sluice::admin {
namespace {

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// Length of the well-formed UTF-8 sequence at the front of `s` (RFC 3629: no surrogates, no overlong forms), or 0.
std::size_t sequence_length(std::string_view s) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t n = first >= 0xc2 && first <= 0xdf ? 2 : (first & 0xf0) == 0xe0 ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
  if (n == 0 || s.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
  if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
  return n;
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t n = sequence_length(text);
    if (n == 0) {
      out += '?';
    } else if (n == 1) {
      const bool control = static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7f;
      out += control ? ' ' : text[0];
    } else {
      out += text.substr(0, n);
    }
    text.remove_prefix(std::max<std::size_t>(n, 1));
  }
  return out;
}

// "://user:secret@" → "://user:***@". A password may hold '@' and ':', so the last '@' before the path ends it.
void hide_url_passwords(std::string& s) {
  for (std::size_t at = s.find("://"); at != std::string::npos; at = s.find("://", at + 3)) {
    const std::size_t begin = at + 3;
    const std::size_t end = std::min(s.find_first_of(" \t\"'", begin), s.size());
    std::size_t path = std::min(s.find('/', begin), end);
    std::size_t host = s.rfind('@', path);
    if (host == std::string::npos || host < begin) {  // an unescaped '/' inside the password
      host = s.rfind('@', end);
      if (host == std::string::npos || host < begin || host >= end) continue;
    }
    const std::size_t colon = s.find(':', begin);
    if (colon < host) s.replace(colon + 1, host - colon - 1, "***");
  }
}

bool is_secret_key(std::string_view key) {
  for (std::string_view word : {"password", "passwd", "pwd", "token", "secret"}) {
    if (key.size() >= word.size() &&
        std::equal(word.begin(), word.end(), key.end() - static_cast<std::ptrdiff_t>(word.size()), [](char a, char b) { return a == lower(b); }))
      return true;
  }
  return false;
}

// password=secret, sslpassword = 'se cret', token="x": the value ends with its quote, or at a separator.
void hide_secret_values(std::string& s) {
  for (std::size_t equals = s.find('='); equals != std::string::npos; equals = s.find('=', equals + 1)) {
    std::size_t key_end = equals;
    while (key_end > 0 && s[key_end - 1] == ' ') --key_end;
    std::size_t key = key_end;
    while (key > 0 && (std::isalnum(static_cast<unsigned char>(s[key - 1])) || s[key - 1] == '_')) --key;
    if (!is_secret_key(std::string_view(s).substr(key, key_end - key))) continue;
    std::size_t value = s.find_first_not_of(' ', equals + 1);
    if (value == std::string::npos) return;
    std::size_t end;
    if (s[value] == '\'' || s[value] == '"') {
      const char quote = s[value++];
      end = value;
      while (end < s.size() && s[end] != quote) end += s[end] == '\\' ? 2 : 1;
      end = std::min(end, s.size());
    } else {
      end = std::min(s.find_first_of(" \t&;,\"'", value), s.size());
    }
    s.replace(value, end - value, "***");
  }
}

}  // namespace

std::string presentable(std::string_view text) {
  std::string out = valid_utf8(text);
  hide_url_passwords(out);
  hide_secret_values(out);
  return out;
}

}  // namespace sluice::admin
