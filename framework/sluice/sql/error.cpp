#include <sluice/sql/error.hpp>

namespace sluice::sql {

std::string shorten(const std::string& sql) {
  constexpr std::size_t limit = 120;
  std::string out;
  bool space = false;
  for (char c : sql) {
    if (static_cast<unsigned char>(c) <= ' ') {
      space = !out.empty();
      continue;
    }
    if (out.size() + (space ? 1 : 0) >= limit) {
      // Not in the middle of a UTF-8 character.
      while (!out.empty() && (static_cast<unsigned char>(c) & 0xc0) == 0x80) {
        c = out.back();
        out.pop_back();
      }
      return out + "…";
    }
    if (space) out += ' ';
    space = false;
    out += c;
  }
  return out;
}

}  // namespace sluice::sql
