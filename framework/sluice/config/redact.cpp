#include <sluice/config/config.hpp>
#include <sluice/config/redact.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <utility>

namespace sluice::config {
namespace {

constexpr std::string_view mask = "***";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string_view s) {
  std::string out(s);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

// "user:password@host", where the scheme was forgotten or lost its slashes. In a file's name the two signs mean nothing.
std::string without_stray_password(std::string words) {
  const std::size_t at = words.rfind('@'), colon = words.find(':');
  if (at == std::string::npos || colon > at || lowered(words.substr(0, 7)) == "sqlite:") return words;
  return words.replace(colon + 1, at - colon - 1, mask);
}

// "scheme://user:password@rest". An unescaped '/', '?' or '@' in a password is a common mistake: rather hide too much.
std::string without_userinfo_password(std::string url) {
  const std::size_t start = url.find("://");
  if (start == std::string::npos) return without_stray_password(std::move(url));
  const std::size_t begin = start + 3;
  const std::size_t query = std::min(url.find('?', begin), url.size());
  std::size_t at = url.rfind('@', query);
  if (at == std::string::npos || at < begin) {
    // An '@' behind the '?' ends a user's password only if what stands before it is no plain host:port.
    at = url.rfind('@');
    const std::size_t authority_end = std::min(url.find_first_of("/?#", begin), url.size());
    const std::size_t colon = url.find(':', begin);
    const bool plain_port =
        colon >= authority_end || std::all_of(url.begin() + static_cast<std::ptrdiff_t>(colon + 1),
                                              url.begin() + static_cast<std::ptrdiff_t>(authority_end), [](char c) { return c >= '0' && c <= '9'; });
    if (plain_port) return url;
    if (at == std::string::npos || at < begin) return url.replace(colon + 1, authority_end - colon - 1, mask);  // user:password of a forgotten host
  }
  const std::size_t colon = url.find(':', begin);
  if (colon == std::string::npos || colon > at) return url;
  return url.replace(colon + 1, at - colon - 1, mask);
}

std::string without_secret_parameters(const std::string& url) {
  const std::size_t query = url.find('?');
  if (query == std::string::npos) return url;
  std::string out = url.substr(0, query + 1);
  std::size_t position = query + 1;
  while (position < url.size()) {
    const std::size_t end = std::min(url.find_first_of("&;", position), url.size());
    const std::string pair = url.substr(position, end - position);
    const std::size_t equals = pair.find('=');
    if (equals != std::string::npos && sounds_secret(std::string_view(pair).substr(0, equals))) {
      out += text(pair.substr(0, equals + 1), mask);
    } else {
      out += pair;
    }
    if (end < url.size()) out += url[end];
    position = end + 1;
  }
  return out;
}

// "host=x password='a b' user=y", as libpq and others take it.
std::string without_secret_keywords(const std::string& words) {
  std::string out;
  std::size_t position = 0;
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n'; };
  while (position < words.size()) {
    const std::size_t equals = words.find('=', position);
    if (equals == std::string::npos) return out + words.substr(position);
    std::size_t name_end = equals;
    while (name_end > position && blank(words[name_end - 1])) --name_end;
    std::size_t name_begin = name_end;
    while (name_begin > position && !blank(words[name_begin - 1])) --name_begin;
    std::size_t value = equals + 1;
    while (value < words.size() && blank(words[value])) ++value;
    std::size_t end = value;
    if (end < words.size() && words[end] == '\'') {
      for (++end; end < words.size() && words[end] != '\''; ++end) {
        if (words[end] == '\\') ++end;
      }
      end = std::min(end + 1, words.size());
    } else {
      while (end < words.size() && !blank(words[end])) end += words[end] == '\\' ? 2 : 1;
      end = std::min(end, words.size());
    }
    const bool secret = sounds_secret(std::string_view(words).substr(name_begin, name_end - name_begin));
    out += words.substr(position, value - position);
    out += secret ? std::string(mask) : words.substr(value, end - value);
    position = end;
  }
  return out;
}

}  // namespace

std::string redact_url(const std::string& url) {
  if (url.find("://") == std::string::npos && url.find('?') == std::string::npos) return without_stray_password(without_secret_keywords(url));
  return without_secret_parameters(without_userinfo_password(url));
}

bool sounds_secret(std::string_view name) {
  const std::string word = lowered(name);
  for (const std::string_view part : {"password", "passwd", "secret", "token", "credential", "passphrase"}) {
    if (word.find(part) != std::string::npos) return true;
  }
  for (const std::string_view whole : {"pwd", "pass", "key", "api_key", "apikey", "access_key"}) {
    if (word == whole) return true;
  }
  return false;
}

std::string shown(const Option& option, const std::string& value, bool shorten) {
  if (option.secrecy == Secrecy::hidden) return value.empty() ? "\"\"" : std::string(mask);
  std::string out = option.secrecy == Secrecy::url ? redact_url(value) : value;
  if (out.empty()) return "\"\"";
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  constexpr std::size_t longest = 120;
  if (shorten && out.size() > longest) out = out.substr(0, longest) + "…";
  return out;
}

}  // namespace sluice::config
