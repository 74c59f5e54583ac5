// text("held ", 3, " of ", 4): plain concatenation for messages; no locale, no format string.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

namespace sluice {
namespace detail {
inline void append(std::string& out, std::string_view s) { out += s; }
inline void append(std::string& out, const char* s) { out += s ? s : "(null)"; }
inline void append(std::string& out, char c) { out += c; }
inline void append(std::string& out, bool b) { out += b ? "true" : "false"; }
template <class N>
  requires(std::integral<N> || std::floating_point<N>)
void append(std::string& out, N n) {
  char buffer[48];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, n);
  out.append(buffer, end.ptr);
}
template <class E>
  requires std::is_enum_v<E>
void append(std::string& out, E e) {
  append(out, static_cast<std::underlying_type_t<E>>(e));
}
}  // namespace detail

template <class... Args>
std::string text(const Args&... args) {
  std::string out;
  (detail::append(out, args), ...);
  return out;
}

// The candidate closest to `word` by edit distance, or "" if none is near enough to suggest (distance > length / 2, at most 4).
std::string_view closest(std::string_view word, const std::string_view* first, const std::string_view* last);

}  // namespace sluice
