#include <sluice/drivers/postgres/values.hpp>

#include <sluice/core/text.hpp>
#include <sluice/drivers/postgres/array.hpp>
#include <sluice/sql/error.hpp>

#include <libpq-fe.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace sluice::postgres {
namespace {

// pg_type's fixed OIDs.
constexpr unsigned bool_oid = 16, bytea_oid = 17, int8_oid = 20, int2_oid = 21, int4_oid = 23, oid_oid = 26;
constexpr unsigned float4_oid = 700, float8_oid = 701, timestamp_oid = 1114, timestamptz_oid = 1184;
constexpr unsigned numeric_oid = 1700, date_oid = 1082, time_oid = 1083, uuid_oid = 2950;

constexpr std::int64_t day_us = 86'400'000'000;

// Days since 1970-01-01 of the proleptic Gregorian calendar, for years far beyond std::chrono::year (PostgreSQL: up to 294276).
constexpr std::int64_t days_from_civil(std::int64_t y, int m, int d) noexcept {
  y -= m <= 2;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const std::int64_t year_of_era = y - era * 400;
  const std::int64_t day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

struct Civil {
  std::int64_t year;
  int month, day;
};

constexpr Civil civil_from_days(std::int64_t z) noexcept {
  z += 719468;
  const std::int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  const std::int64_t doe = z - era * 146097;
  const std::int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const std::int64_t mp = (5 * doy + 2) / 153;
  const int month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  return {yoe + era * 400 + (month <= 2), month, static_cast<int>(doy - (153 * mp + 2) / 5 + 1)};
}
static_assert(days_from_civil(1970, 1, 1) == 0 && days_from_civil(2000, 3, 1) == 11017);

std::string format_double(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "Infinity" : "-Infinity";
  return text(v);
}

std::string padded(std::int64_t n, std::size_t width) {
  std::string digits = std::to_string(n);
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  return digits;
}

// Reads a number of at least `least` digits; false if there is none.
bool take_number(std::string_view& s, std::int64_t& out, std::size_t least = 1) {
  std::size_t n = 0;
  while (n < s.size() && s[n] >= '0' && s[n] <= '9') ++n;
  if (n < least || n > 9) return false;
  std::from_chars(s.data(), s.data() + n, out);
  s.remove_prefix(n);
  return true;
}

bool take_char(std::string_view& s, char c) {
  if (s.empty() || s.front() != c) return false;
  s.remove_prefix(1);
  return true;
}

template <class T>
sql::Value number_or_text(std::string_view s) {
  T v{};
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (error != std::errc{} || end != s.data() + s.size()) return sql::Value(std::string(s));
  return sql::Value(v);
}

void refuse_zero_byte(const std::string& s, std::size_t parameter, const std::string& sql) {
  if (!std::memchr(s.data(), 0, s.size())) return;
  throw sql::SqlError(sql::Phase::encode, sql::Class::type, "22021", 0,
                      text("parameter $", parameter + 1, ": text with a zero byte; PostgreSQL holds such data only as bytes"), sql::shorten(sql));
}

// `parsed` or, if there is nothing, the text itself.
template <class T>
sql::Value value_or_text(std::optional<T> parsed, std::string_view s) {
  return parsed ? sql::Value(std::move(*parsed)) : sql::Value(std::string(s));
}

sql::Value decode_bytes(std::string_view s) {
  const auto nibble = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  sql::Bytes bytes;
  if (s.size() >= 2 && s[0] == '\\' && s[1] == 'x') {
    bytes.reserve(s.size() / 2 - 1);
    for (std::size_t i = 2; i + 1 < s.size(); i += 2) bytes.push_back(static_cast<std::byte>(nibble(s[i]) << 4 | nibble(s[i + 1])));
    return sql::Value(std::move(bytes));
  }
  // bytea_output = escape
  std::size_t size = 0;
  const std::string ended(s);
  unsigned char* raw = PQunescapeBytea(reinterpret_cast<const unsigned char*>(ended.c_str()), &size);
  if (raw) bytes.assign(reinterpret_cast<std::byte*>(raw), reinterpret_cast<std::byte*>(raw) + size);
  PQfreemem(raw);
  return sql::Value(std::move(bytes));
}

}  // namespace

std::string format_timestamp(sql::Timestamp t) {
  if (t == sql::Timestamp::max()) return "infinity";
  if (t == sql::Timestamp::min()) return "-infinity";
  const std::int64_t us = t.time_since_epoch().count();
  std::int64_t days = us / day_us, rest = us % day_us;
  if (rest < 0) {
    rest += day_us;
    --days;
  }
  const Civil date = civil_from_days(days);
  const bool before_christ = date.year <= 0;
  return text(padded(before_christ ? 1 - date.year : date.year, 4), "-", padded(date.month, 2), "-", padded(date.day, 2), " ",
              padded(rest / 3'600'000'000, 2), ":", padded(rest / 60'000'000 % 60, 2), ":", padded(rest / 1'000'000 % 60, 2), ".",
              padded(rest % 1'000'000, 6), "+00", before_christ ? " BC" : "");
}

std::optional<sql::Timestamp> parse_timestamp(std::string_view s) {
  if (s == "infinity") return sql::Timestamp::max();
  if (s == "-infinity") return sql::Timestamp::min();
  std::int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!take_number(s, year, 4) || !take_char(s, '-') || !take_number(s, month) || !take_char(s, '-') || !take_number(s, day)) return std::nullopt;
  if (!take_char(s, ' ') || !take_number(s, hour) || !take_char(s, ':') || !take_number(s, minute) || !take_char(s, ':')) return std::nullopt;
  if (!take_number(s, second)) return std::nullopt;
  std::int64_t micros = 0;
  if (take_char(s, '.')) {
    const std::size_t before = s.size();
    if (!take_number(s, micros)) return std::nullopt;
    for (std::size_t digits = before - s.size(); digits < 6; ++digits) micros *= 10;
  }
  std::int64_t offset = 0;
  if (!s.empty() && (s.front() == '+' || s.front() == '-')) {
    const std::int64_t sign = s.front() == '-' ? -1 : 1;
    s.remove_prefix(1);
    std::int64_t part = 0;
    if (!take_number(s, part)) return std::nullopt;
    offset = part * 3600;
    for (std::int64_t unit : {60, 1}) {
      if (!take_char(s, ':')) break;
      if (!take_number(s, part)) return std::nullopt;
      offset += part * unit;
    }
    offset *= sign;
  }
  if (s == " BC") {
    year = 1 - year;
    s = {};
  }
  if (!s.empty()) return std::nullopt;
  std::int64_t us = 0;
  const std::int64_t in_day = (hour * 3600 + minute * 60 + second - offset) * 1'000'000 + micros;
  if (__builtin_mul_overflow(days_from_civil(year, static_cast<int>(month), static_cast<int>(day)), day_us, &us) ||
      __builtin_add_overflow(us, in_day, &us)) {
    return std::nullopt;
  }
  return sql::Timestamp(std::chrono::microseconds(us));
}

std::string format_value(const sql::Value& value) {
  struct Writer {
    std::string operator()(sql::Null) const { return {}; }
    std::string operator()(bool v) const { return v ? "t" : "f"; }
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(std::uint64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return format_double(v); }
    std::string operator()(const std::string& v) const { return v; }
    std::string operator()(const sql::Bytes& v) const {
      constexpr const char* hex = "0123456789abcdef";
      std::string out = "\\x";
      for (const std::byte b : v) out.append({hex[std::to_integer<unsigned>(b) >> 4], hex[std::to_integer<unsigned>(b) & 15]});
      return out;
    }
    std::string operator()(sql::Timestamp v) const { return format_timestamp(v); }
    std::string operator()(const sql::Decimal& v) const { return v.text(); }
    std::string operator()(sql::Date v) const { return sql::format_date(v); }
    std::string operator()(sql::Time v) const { return sql::format_time(v); }
    std::string operator()(const sql::Uuid& v) const { return sql::format_uuid(v); }
    std::string operator()(const sql::Array& v) const { return format_array(v); }
  };
  return std::visit(Writer{}, value);
}

Parameters::Parameters(std::vector<sql::Value>&& values, const std::string& sql) : values_(std::move(values)) { point_at(values_, sql); }

Parameters::Parameters(const std::vector<sql::Value>& values, const std::string& sql) { point_at(values, sql); }

void Parameters::point_at(const std::vector<sql::Value>& values, const std::string& sql) {
  const std::size_t n = values.size();
  texts_.resize(n);
  pointers_.resize(n, nullptr);
  for (std::size_t i = 0; i < n; ++i) {
    const sql::Value& value = values[i];
    if (std::holds_alternative<sql::Null>(value)) continue;
    if (const auto* bytes = std::get_if<sql::Bytes>(&value)) {
      if (!binary_) binary_ = std::make_unique<Binary>(n);
      binary_->types[i] = bytea_oid;
      // An empty value needs an address: null would mean NULL.
      pointers_[i] = bytes->empty() ? "" : reinterpret_cast<const char*>(bytes->data());
      binary_->lengths[i] = static_cast<int>(bytes->size());
      binary_->formats[i] = 1;
      continue;
    }
    if (const auto* string = std::get_if<std::string>(&value)) {
      refuse_zero_byte(*string, i, sql);
      pointers_[i] = string->c_str();
      continue;
    }
    texts_[i] = format_value(value);
    refuse_zero_byte(texts_[i], i, sql);
    pointers_[i] = texts_[i].c_str();
  }
}

const std::string& prepared_key(const std::string& sql, const std::vector<sql::Value>& parameters, std::string& room) {
  bool any = false;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!std::holds_alternative<sql::Bytes>(parameters[i])) continue;
    if (!std::exchange(any, true)) room = sql;
    room += text("\n", i);
  }
  return any ? room : sql;
}

sql::Value decode(unsigned type, std::string_view s) {
  switch (type) {
    case bool_oid: return sql::Value(s == "t");
    case int2_oid:
    case int4_oid:
    case int8_oid:
    case oid_oid: return number_or_text<std::int64_t>(s);
    case float4_oid:
    case float8_oid: return number_or_text<double>(s);
    case bytea_oid: return decode_bytes(s);
    case timestamp_oid:
    case timestamptz_oid: return value_or_text(parse_timestamp(s), s);
    case date_oid: return value_or_text(sql::parse_date(s), s);
    case time_oid: return value_or_text(sql::parse_time(s), s);
    case uuid_oid: return value_or_text(sql::parse_uuid(s), s);
    case numeric_oid: return sql::Value(sql::Decimal(s));
    default:
      if (const unsigned element = element_type(type)) return value_or_text(parse_array(element, s), s);
      return sql::Value(std::string(s));
  }
}

namespace {

std::vector<std::string> names_of(const PGresult* result) {
  const int columns = PQnfields(result);
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(columns));
  for (int c = 0; c < columns; ++c) names.emplace_back(PQfname(result, c));
  return names;
}

bool has_shape(const PGresult* result, const RowShape& shape) {
  if (static_cast<std::size_t>(PQnfields(result)) != shape.types.size()) return false;
  for (std::size_t c = 0; c < shape.types.size(); ++c) {
    const int column = static_cast<int>(c);
    if (shape.types[c] != PQftype(result, column) || shape.names[c] != PQfname(result, column)) return false;
  }
  return true;
}

RowShape shape_of(const PGresult* result) {
  RowShape shape;
  shape.names = names_of(result);
  for (int c = 0; c < PQnfields(result); ++c) shape.types.push_back(PQftype(result, c));
  return shape;
}

}  // namespace

std::size_t append_rows(const PGresult* result, sql::ResultSet& set) {
  const int rows = PQntuples(result), columns = PQnfields(result);
  if (set.columns.empty()) set.columns = names_of(result);
  set.row_count += static_cast<std::size_t>(rows);
  if (rows > 1 || set.cells.empty()) set.cells.reserve(set.row_count * static_cast<std::size_t>(columns));
  std::size_t bytes = 0;
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      if (PQgetisnull(result, r, c)) {
        set.cells.emplace_back(sql::Null{});
        continue;
      }
      const auto size = static_cast<std::size_t>(PQgetlength(result, r, c));
      set.cells.push_back(decode(PQftype(result, c), std::string_view(PQgetvalue(result, r, c), size)));
      bytes += size;
    }
  }
  return bytes;
}

std::uint64_t affected_by(std::string_view tag) noexcept {
  std::uint64_t rows = 0;
  if (tag.starts_with("INSERT") || tag.starts_with("UPDATE") || tag.starts_with("DELETE") || tag.starts_with("MERGE")) {
    const std::string_view count = tag.substr(tag.rfind(' ') + 1);  // of INSERT the second number
    std::from_chars(count.data(), count.data() + count.size(), rows);
  }
  return rows;
}

std::shared_ptr<const sql::ResultSet> decode_result(const PGresult* result, RowShape* remembered) {
  auto set = std::make_shared<sql::ResultSet>();
  if (remembered) {
    if (!has_shape(result, *remembered)) *remembered = shape_of(result);
    set->columns = remembered->names;
  }
  if (PQntuples(result) > 0 || PQnfields(result) > 0) append_rows(result, *set);  // SELECT FROM … gives rows without columns
  set->affected = affected_by(PQcmdStatus(const_cast<PGresult*>(result)));
  return set;
}

}  // namespace sluice::postgres
