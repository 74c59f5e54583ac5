#include <sluice/drivers/postgres/hidden_values.hpp>

#include <algorithm>
#include <cctype>
#include <utility>

namespace sluice::postgres {
namespace {

constexpr std::string_view hidden = "(value hidden)";

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || (static_cast<unsigned char>(c) & 0x80) != 0; }

// As a whole word, in any case: unquoted names are folded.
bool occurs(std::string_view name, std::string_view in) {
  const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); };
  for (auto from = in.begin(); from != in.end(); ++from) {
    from = std::search(from, in.end(), name.begin(), name.end(), same);
    if (from == in.end()) return false;
    const auto end = from + static_cast<std::ptrdiff_t>(name.size());
    const bool begins = from == in.begin() || !is_name(from[-1]) || !is_name(name.front());
    const bool ends = end == in.end() || !is_name(*end) || !is_name(name.back());
    if (begins && ends) return true;
  }
  return false;
}

// The first and the last quotation mark of any translation of the server's messages.
std::pair<std::size_t, std::size_t> quoted(std::string_view message) {
  std::size_t begin = message.npos, end = 0, marks = 0;
  for (const std::string_view mark : {"\"", "»", "«", "„", "“", "”"}) {
    for (std::size_t at = message.find(mark); at != message.npos; at = message.find(mark, at + mark.size())) {
      begin = std::min(begin, at);
      end = std::max(end, at + mark.size());
      ++marks;
    }
  }
  return {begin, marks == 1 ? message.size() : end};  // one alone: the message was cut in the middle
}

}  // namespace

std::string hide_values(std::string message, std::string_view sqlstate, const std::vector<std::string>& known) {
  if (sqlstate.starts_with("P0")) return message;
  const bool data = sqlstate.starts_with("22");
  const auto is_known = [&](std::string_view name) {
    return name.empty() || std::any_of(known.begin(), known.end(), [&](const std::string& text) { return occurs(name, text); });
  };
  if (const auto [begin, end] = data ? quoted(message) : std::pair(message.npos, message.npos); begin != message.npos) message.replace(begin, end - begin, hidden);
  for (std::size_t begin = data ? message.npos : message.find('"'); begin != message.npos;) {
    const std::size_t end = message.find('"', begin + 1);
    if (end != message.npos && is_known(std::string_view(message).substr(begin + 1, end - begin - 1))) {
      begin = message.find('"', end + 1);
      continue;
    }
    // Up to the last quote: there may be some in the value.
    const std::size_t last = message.rfind('"');
    message.replace(begin, last > begin ? last + 1 - begin : message.npos, hidden);
    break;
  }
  // "invalid byte sequence …: 0xc3 0x28"
  if (const std::size_t begin = data ? message.find(" 0x") : message.npos; begin != message.npos) {
    const std::size_t last = std::min(message.find_first_not_of("0123456789abcdefx ", begin), message.size()) - 1;
    message.replace(begin + 1, message[last] == ' ' ? last - begin - 1 : last - begin, hidden);
  }
  return message;
}

}  // namespace sluice::postgres
