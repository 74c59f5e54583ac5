#include <sluice/core/text.hpp>
#include <sluice/sql/conversion.hpp>
#include <sluice/sql/error.hpp>
#include <sluice/sql/row.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace sluice::sql {
namespace {

// The whole text as a number, or nothing: no blanks, no trailing characters.
template <class N>
std::optional<N> exactly(const std::string& s) {
  N n{};
  const char* end = s.data() + s.size();
  const auto [stop, error] = std::from_chars(s.data(), end, n);
  if (error != std::errc() || stop != end) return std::nullopt;
  return n;
}

}  // namespace

void Conversion::fail(const std::string& asked) const {
  const std::size_t columns = set_.columns.size();
  const bool inside = &value_ != &set_.cells[cell_];
  throw SqlError(
      Phase::decode, Class::type, "", 0,
      text(
          inside ? "an element of " : "", "column \"", set_.columns[cell_ % columns], "\" of row ", cell_ / columns, ": asked for ", asked,
          ", found ", type_name(value_),
          std::holds_alternative<Null>(value_) ? text(" (", inside ? "an element" : "a column", " that may be NULL is read as std::optional)") : ""));
}

const std::string* Conversion::textual() const noexcept {
  if (const auto* s = std::get_if<std::string>(&value_)) return s;
  const auto* d = std::get_if<Decimal>(&value_);
  return d ? &d->text() : nullptr;
}

bool Conversion::to(bool*) const {
  if (const bool* b = std::get_if<bool>(&value_)) return *b;
  if (const auto* i = std::get_if<std::int64_t>(&value_); i && (*i == 0 || *i == 1)) return *i == 1;
  if (const auto* s = std::get_if<std::string>(&value_)) {
    if (*s == "t" || *s == "true") return true;
    if (*s == "f" || *s == "false") return false;
  }
  fail("a boolean");
}

std::string Conversion::to(std::string*) const {
  if (const std::string* s = textual()) return *s;
  if (const auto* d = std::get_if<Date>(&value_)) return format_date(*d);
  if (const auto* t = std::get_if<Time>(&value_)) return format_time(*t);
  if (const auto* u = std::get_if<Uuid>(&value_)) return format_uuid(*u);
  fail("text");
}

Bytes Conversion::to(Bytes*) const {
  if (const auto* b = std::get_if<Bytes>(&value_)) return *b;
  fail("bytes");
}

Decimal Conversion::to(Decimal*) const {
  if (const auto* d = std::get_if<Decimal>(&value_)) return *d;
  if (const auto* i = std::get_if<std::int64_t>(&value_)) return Decimal(std::to_string(*i));
  if (const auto* u = std::get_if<std::uint64_t>(&value_)) return Decimal(std::to_string(*u));
  if (const auto* s = std::get_if<std::string>(&value_); s && Decimal::valid(*s)) return Decimal(*s);
  fail("a decimal number");
}

Date Conversion::to(Date*) const {
  if (const auto* d = std::get_if<Date>(&value_)) return *d;
  if (const auto* s = std::get_if<std::string>(&value_))
    if (const auto d = parse_date(*s)) return *d;
  fail("a date");
}

Time Conversion::to(Time*) const {
  if (const auto* t = std::get_if<Time>(&value_)) return *t;
  if (const auto* s = std::get_if<std::string>(&value_))
    if (const auto t = parse_time(*s)) return *t;
  fail("a time");
}

Uuid Conversion::to(Uuid*) const {
  if (const auto* u = std::get_if<Uuid>(&value_)) return *u;
  if (const auto* s = std::get_if<std::string>(&value_))
    if (const auto u = parse_uuid(*s)) return *u;
  if (const auto* b = std::get_if<Bytes>(&value_); b && b->size() == 16) {
    Uuid uuid{};
    std::transform(b->begin(), b->end(), uuid.begin(), [](std::byte byte) { return static_cast<std::uint8_t>(byte); });
    return uuid;
  }
  fail("a UUID");
}

nlohmann::json Conversion::to(nlohmann::json*) const {
  if (const auto* s = std::get_if<std::string>(&value_)) {
    nlohmann::json parsed = nlohmann::json::parse(*s, nullptr, false);
    if (!parsed.is_discarded()) return parsed;
  }
  fail("JSON");
}

std::int64_t Conversion::integer(std::int64_t lowest, std::int64_t highest) const {
  std::optional<std::int64_t> n;
  bool outside = std::holds_alternative<std::uint64_t>(value_);
  if (const auto* i = std::get_if<std::int64_t>(&value_)) n = *i;
  if (const std::string* s = textual()) n = exactly<std::int64_t>(*s);
  if (n && *n >= lowest && *n <= highest) return *n;
  outside |= n.has_value();
  fail(text("an integer from ", lowest, " to ", highest, outside ? " (the value is outside)" : ""));
}

std::uint64_t Conversion::unsigned_integer(std::uint64_t highest) const {
  std::optional<std::uint64_t> n;
  bool outside = false;
  if (const auto* u = std::get_if<std::uint64_t>(&value_)) n = *u;
  if (const auto* i = std::get_if<std::int64_t>(&value_)) {
    if (*i >= 0) n = static_cast<std::uint64_t>(*i);
    outside = *i < 0;
  }
  if (const std::string* s = textual()) n = exactly<std::uint64_t>(*s);
  if (n && *n <= highest) return *n;
  outside |= n.has_value();
  fail(text("an integer from 0 to ", highest, outside ? " (the value is outside)" : ""));
}

double Conversion::floating() const {
  if (const auto* d = std::get_if<double>(&value_)) return *d;
  if (const auto* i = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*i);
  if (const auto* u = std::get_if<std::uint64_t>(&value_)) return static_cast<double>(*u);
  if (const std::string* s = textual())
    if (const auto d = exactly<double>(*s)) return *d;
  fail("a floating point number");
}

Timestamp Conversion::timestamp() const {
  if (const auto* t = std::get_if<Timestamp>(&value_)) return *t;
  if (const auto* d = std::get_if<Date>(&value_)) return std::chrono::sys_days(*d);
  if (const auto* s = std::get_if<std::string>(&value_))
    if (const auto t = parse_timestamp(*s)) return *t;
  fail("a timestamp");
}

const std::vector<Value>& Conversion::elements() const {
  if (const auto* a = std::get_if<Array>(&value_)) return a->elements;
  fail("an array");
}

}  // namespace sluice::sql
