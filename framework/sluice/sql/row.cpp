#include <sluice/core/text.hpp>
#include <sluice/sql/row.hpp>

#include <algorithm>
#include <charconv>

namespace sluice::sql {
namespace {

SqlError decode_error(const std::string& message) { return SqlError(Phase::decode, Class::type, "", 0, message); }

// The whole text as a number, or nothing: no blanks, no trailing characters.
template <class N>
std::optional<N> exactly(const std::string& s) {
  N n{};
  const char* end = s.data() + s.size();
  const auto [stop, error] = std::from_chars(s.data(), end, n);
  if (error != std::errc() || stop != end) return std::nullopt;
  return n;
}

std::string listed(const std::vector<std::string>& columns) {
  std::string out;
  for (const std::string& c : columns) out += text(out.empty() ? "" : ", ", c);
  return out.empty() ? "none" : out;
}

}  // namespace

void Field::fail(const std::string& asked) const {
  const std::size_t row = cell_ / set_->columns.size();
  throw decode_error(text("column \"", name(), "\" of row ", row, ": asked for ", asked, ", found ", type_name(value()),
                          is_null() ? " (a column that may be NULL is read as std::optional)" : ""));
}

bool Field::convert(bool*) const {
  if (const bool* b = std::get_if<bool>(&value())) return *b;
  if (const auto* i = std::get_if<std::int64_t>(&value()); i && (*i == 0 || *i == 1)) return *i == 1;
  if (const auto* s = std::get_if<std::string>(&value())) {
    if (*s == "t" || *s == "true") return true;
    if (*s == "f" || *s == "false") return false;
  }
  fail("a boolean");
}

std::string Field::convert(std::string*) const {
  if (const auto* s = std::get_if<std::string>(&value())) return *s;
  fail("text");
}

Bytes Field::convert(Bytes*) const {
  if (const auto* b = std::get_if<Bytes>(&value())) return *b;
  fail("bytes");
}

std::int64_t Field::integer(std::int64_t lowest, std::int64_t highest) const {
  std::optional<std::int64_t> n;
  if (const auto* i = std::get_if<std::int64_t>(&value())) n = *i;
  if (const auto* s = std::get_if<std::string>(&value())) n = exactly<std::int64_t>(*s);
  if (n && *n >= lowest && *n <= highest) return *n;
  const std::string asked = text("an integer from ", lowest, " to ", highest);
  fail(n ? asked + " (the value is outside)" : asked);
}

double Field::floating() const {
  if (const auto* d = std::get_if<double>(&value())) return *d;
  if (const auto* i = std::get_if<std::int64_t>(&value())) return static_cast<double>(*i);
  if (const auto* s = std::get_if<std::string>(&value()))
    if (const auto d = exactly<double>(*s)) return *d;
  fail("a floating point number");
}

Timestamp Field::timestamp() const {
  if (const auto* t = std::get_if<Timestamp>(&value())) return *t;
  if (const auto* s = std::get_if<std::string>(&value()))
    if (const auto t = parse_timestamp(*s)) return *t;
  fail("a timestamp");
}

bool Row::has(std::string_view column) const noexcept {
  return std::find(set_->columns.begin(), set_->columns.end(), column) != set_->columns.end();
}

std::size_t Row::find(std::string_view column) const {
  const auto at = std::find(set_->columns.begin(), set_->columns.end(), column);
  if (at == set_->columns.end()) throw decode_error(text("the result has no column \"", column, "\"; its columns: ", listed(set_->columns)));
  return static_cast<std::size_t>(at - set_->columns.begin());
}

Field Row::at(std::size_t position) const {
  if (position >= size()) throw decode_error(text("the result has no column at position ", position, ", only ", size(), " columns from 0"));
  return Field(set_, cell(position));
}

Row Rows::operator[](std::size_t index) const {
  if (index >= size()) throw decode_error(text("the result has no row ", index, ", only ", size(), size() == 1 ? " row" : " rows", " from 0"));
  return Row(set_, index);
}

const std::vector<std::string>& Rows::columns() const noexcept {
  static const std::vector<std::string> none;
  return set_ ? set_->columns : none;
}

void detail::require_one_column(const std::vector<std::string>& columns) {
  if (columns.size() > 1)
    throw decode_error(text("rows of ", columns.size(), " columns (", listed(columns), ") read as a single value; describe a struct with BOOST_DESCRIBE_STRUCT"));
}

}  // namespace sluice::sql
