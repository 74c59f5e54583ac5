#include <sluice/http/target.hpp>

namespace sluice::http {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view without_authority(std::string_view target) noexcept {
  if (target.starts_with('/')) return target;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    const auto end = target.find_first_of("/?#", scheme.size());
    return end == std::string_view::npos ? std::string_view("/") : target.substr(end);
  }
  return target;
}

std::string decoded(std::string_view text, bool plus_is_space) {
  auto out = percent_decode(text, plus_is_space);
  if (!out) throw HttpError(400, "the request target has a malformed percent escape");
  return std::move(*out);
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  if (text.find('%') == text.npos && (!plus_is_space || text.find('+') == text.npos)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string_view raw_path(std::string_view target) noexcept {
  target = without_authority(target);
  return target.substr(0, target.find_first_of("?#"));
}

void parse_target(Request& request) {
  const std::string_view path = raw_path(request.target);
  request.path_text = decoded(path, false);
  std::string_view rest = without_authority(request.target).substr(path.size());
  rest = rest.substr(0, rest.find('#'));
  if (rest.empty()) return;
  rest.remove_prefix(1);  // '?'
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(pair.size() < rest.size() ? pair.size() + 1 : rest.size());
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    std::string name = decoded(pair.substr(0, equals), true);
    std::string value = equals == std::string_view::npos ? std::string() : decoded(pair.substr(equals + 1), true);
    request.query_parameters.insert_or_assign(std::move(name), std::move(value));
  }
}

}  // namespace sluice::http
