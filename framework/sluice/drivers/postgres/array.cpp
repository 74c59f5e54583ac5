#include <sluice/drivers/postgres/array.hpp>

#include <sluice/drivers/postgres/values.hpp>

#include <array>

namespace sluice::postgres {
namespace {

constexpr int deepest = 6;  // PostgreSQL's MAXDIM

void append(std::string& out, const sql::Value& value) {
  if (std::holds_alternative<sql::Null>(value)) {
    out += "NULL";
  } else if (const auto* nested = std::get_if<sql::Array>(&value)) {
    out += format_array(*nested);
  } else {
    out += '"';
    for (const char c : format_value(value)) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
}

class Reader {
 public:
  Reader(unsigned element, std::string_view text) noexcept : element_(element), rest_(text) {}

  bool array(sql::Array& out, int depth) {
    if (depth > deepest || !take('{')) return false;
    if (take('}')) return true;
    do {
      if (!one(out, depth)) return false;
    } while (take(','));
    return take('}');
  }
  bool done() const noexcept { return rest_.empty(); }

 private:
  bool take(char c) noexcept {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool one(sql::Array& out, int depth) {
    if (!rest_.empty() && rest_.front() == '{') {
      sql::Array nested;
      if (!array(nested, depth + 1)) return false;
      out.elements.emplace_back(std::move(nested));
      return true;
    }
    std::string word;
    const bool quoted = take('"');
    while (!rest_.empty() && (quoted ? rest_.front() != '"' : rest_.front() != ',' && rest_.front() != '}')) {
      take('\\');
      if (rest_.empty()) return false;
      word += rest_.front();
      rest_.remove_prefix(1);
    }
    if (quoted ? !take('"') : word.empty()) return false;
    out.elements.push_back(!quoted && word == "NULL" ? sql::Value(sql::Null{}) : decode(element_, word));
    return true;
  }

  unsigned element_;
  std::string_view rest_;
};

}  // namespace

std::string format_array(const sql::Array& array) {
  std::string out = "{";
  for (const sql::Value& element : array.elements) {
    if (out.size() > 1) out += ',';
    append(out, element);
  }
  return out + '}';
}

unsigned element_type(unsigned array_type) noexcept {
  // pg_type's fixed OIDs.
  constexpr std::array<std::array<unsigned, 2>, 20> known = {
      {{1000, 16},   {1001, 17},   {1005, 21},   {1007, 23},   {1016, 20},   {1028, 26},   {1021, 700},  {1022, 701}, {1009, 25},   {1014, 1042},
       {1015, 1043}, {1115, 1114}, {1185, 1184}, {1182, 1082}, {1183, 1083}, {1231, 1700}, {2951, 2950}, {199, 114},  {3807, 3802}, {1003, 19}}};
  for (const auto& [array, element] : known)
    if (array == array_type) return element;
  return 0;
}

std::optional<sql::Array> parse_array(unsigned element, std::string_view text) {
  Reader reader(element, text);
  sql::Array out;
  if (!reader.array(out, 1) || !reader.done()) return std::nullopt;
  return out;
}

}  // namespace sluice::postgres
