#include <sluice/drivers/mysql/values.hpp>

#include <sluice/core/text.hpp>
#include <sluice/sql/error.hpp>

#include <mysql.h>
#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

namespace sluice::mysql {
namespace {

constexpr unsigned binary_charset = 63;
constexpr std::size_t first_buffer = 128;  // longer text is fetched in a second step
constexpr auto longest_time = std::chrono::hours(838) + std::chrono::minutes(59) + std::chrono::seconds(59);

[[noreturn]] void refuse(std::size_t parameter, const std::string& sql, const std::string& reason, const char* sqlstate = "22000") {
  throw sql::SqlError(sql::Phase::encode, sql::Class::type, sqlstate, 0, text("parameter $", parameter + 1, ": ", reason), sql::shorten(sql));
}

void set_date(MYSQL_TIME& t, sql::Date date) {
  t.year = static_cast<unsigned>(static_cast<int>(date.year()));
  t.month = static_cast<unsigned>(date.month());
  t.day = static_cast<unsigned>(date.day());
}

bool year_fits(sql::Date date) { return date.year() >= std::chrono::year(0) && date.year() <= std::chrono::year(9999); }

// Hours, minutes, seconds, microseconds of a span that is not negative.
void set_clock(MYSQL_TIME& t, std::chrono::microseconds span) {
  const std::chrono::hh_mm_ss clock(span);
  t.hour = static_cast<unsigned>(clock.hours().count());
  t.minute = static_cast<unsigned>(clock.minutes().count());
  t.second = static_cast<unsigned>(clock.seconds().count());
  t.second_part = static_cast<unsigned long>(clock.subseconds().count());
}

std::chrono::microseconds clock_of(const MYSQL_TIME& t) {
  return std::chrono::hours(t.hour) + std::chrono::minutes(t.minute) + std::chrono::seconds(t.second) + std::chrono::microseconds(t.second_part);
}

sql::Date date_of(const MYSQL_TIME& t) { return {std::chrono::year(static_cast<int>(t.year)), std::chrono::month(t.month), std::chrono::day(t.day)}; }

std::string padded(unsigned long n, std::size_t width) {
  std::string digits = std::to_string(n);
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  return digits;
}

// "0000-00-00" and its like.
std::string raw_date(const MYSQL_TIME& t) { return text(padded(t.year, 4), "-", padded(t.month, 2), "-", padded(t.day, 2)); }
std::string raw_clock(const MYSQL_TIME& t) { return text(padded(t.hour, 2), ":", padded(t.minute, 2), ":", padded(t.second, 2)); }

sql::Value unsigned_value(std::uint64_t v) { return sql::encode_unsigned(v); }

sql::Bytes to_bytes(std::string_view s) {
  const auto* data = reinterpret_cast<const std::byte*>(s.data());
  return sql::Bytes(data, data + s.size());
}

std::uint64_t bits_of(std::string_view s) {
  std::uint64_t n = 0;
  for (const char c : s) n = n << 8 | static_cast<unsigned char>(c);
  return n;
}

enum class Kind { null, integer, real, single, date, time, datetime, decimal, bits, bytes, text, uuid };

Kind kind_of(int type, unsigned charset, bool uuid) {
  switch (type) {
    case MYSQL_TYPE_NULL: return Kind::null;
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR: return Kind::integer;
    case MYSQL_TYPE_FLOAT: return Kind::single;
    case MYSQL_TYPE_DOUBLE: return Kind::real;
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL: return Kind::decimal;
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE: return Kind::date;
    case MYSQL_TYPE_TIME:
    case MYSQL_TYPE_TIME2: return Kind::time;
    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_DATETIME2:
    case MYSQL_TYPE_TIMESTAMP:
    case MYSQL_TYPE_TIMESTAMP2: return Kind::datetime;
    case MYSQL_TYPE_BIT: return Kind::bits;
    case MYSQL_TYPE_JSON: return Kind::text;
    case MYSQL_TYPE_GEOMETRY: return Kind::bytes;
    default: return uuid ? Kind::uuid : charset == binary_charset ? Kind::bytes : Kind::text;
  }
}

bool is_uuid(const MYSQL_FIELD& field) {
  MARIADB_CONST_STRING name = {nullptr, 0};
  return mariadb_field_attr(&name, &field, MARIADB_FIELD_ATTR_DATA_TYPE_NAME) == 0 && std::string_view(name.str, name.length) == "uuid";
}

sql::Value value_or_text(std::optional<sql::Uuid> parsed, std::string_view s) { return parsed ? sql::Value(*parsed) : sql::Value(std::string(s)); }

sql::Value timestamp_value(const MYSQL_TIME& t) {
  const sql::Date date = date_of(t);
  if (!date.ok()) return sql::Value(text(raw_date(t), " ", raw_clock(t)));
  return sql::Value(sql::Timestamp(std::chrono::sys_days(date) + clock_of(t)));
}

template <class T>
sql::Value number_or_text(std::string_view s) {
  T v{};
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (error != std::errc{} || end != s.data() + s.size()) return sql::Value(std::string(s));
  return sql::encode(v);
}

}  // namespace

// ---- parameters

struct Parameters::Slot {
  union {
    std::int8_t boolean;
    std::int64_t integer;
    std::uint64_t natural;
    double real;
  };
  MYSQL_TIME time;
  unsigned long length;
  std::string text;  // of a value that has another form here
};

Parameters::~Parameters() = default;
MYSQL_BIND* Parameters::bindings() noexcept { return bindings_.data(); }

Parameters::Parameters(std::vector<sql::Value> values, const std::vector<unsigned>& order, const std::string& sql)
    : values_(std::move(values)), slots_(std::make_unique<Slot[]>(values_.size())) {
  boost::container::small_vector<MYSQL_BIND, 4> by_number(values_.size(), MYSQL_BIND{});
  const auto string = [&](std::size_t i, std::string_view s, enum_field_types type) {
    slots_[i].length = s.size();
    by_number[i].buffer_type = type;
    by_number[i].buffer = const_cast<char*>(s.empty() ? "" : s.data());  // null would mean NULL
    by_number[i].buffer_length = s.size();
    by_number[i].length = &slots_[i].length;
  };
  const auto time = [&](std::size_t i, enum_field_types type, enum_mysql_timestamp_type kind) -> MYSQL_TIME& {
    by_number[i].buffer_type = type;
    by_number[i].buffer = &slots_[i].time;
    slots_[i].time.time_type = kind;
    return slots_[i].time;
  };
  for (std::size_t i = 0; i < values_.size(); ++i) {
    MYSQL_BIND& bind = by_number[i];
    Slot& slot = slots_[i];
    const sql::Value& value = values_[i];
    if (std::holds_alternative<sql::Null>(value)) {
      bind.buffer_type = MYSQL_TYPE_NULL;
    } else if (const auto* boolean = std::get_if<bool>(&value)) {
      slot.boolean = *boolean;
      bind.buffer_type = MYSQL_TYPE_TINY;
      bind.buffer = &slot.boolean;
    } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      slot.integer = *integer;
      bind.buffer_type = MYSQL_TYPE_LONGLONG;
      bind.buffer = &slot.integer;
    } else if (const auto* natural = std::get_if<std::uint64_t>(&value)) {
      slot.natural = *natural;
      bind.buffer_type = MYSQL_TYPE_LONGLONG;
      bind.buffer = &slot.natural;
      bind.is_unsigned = 1;
    } else if (const auto* real = std::get_if<double>(&value)) {
      if (!std::isfinite(*real)) refuse(i, sql, "NaN and infinity are no numbers to MySQL", "22003");
      slot.real = *real;
      bind.buffer_type = MYSQL_TYPE_DOUBLE;
      bind.buffer = &slot.real;
    } else if (const auto* words = std::get_if<std::string>(&value)) {
      if (!sql::valid_utf8(*words)) refuse(i, sql, "text that is not valid UTF-8; pass it as bytes", "22021");
      string(i, *words, MYSQL_TYPE_STRING);
    } else if (const auto* bytes = std::get_if<sql::Bytes>(&value)) {
      string(i, std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size()), MYSQL_TYPE_BLOB);
    } else if (const auto* decimal = std::get_if<sql::Decimal>(&value)) {
      string(i, decimal->text(), MYSQL_TYPE_NEWDECIMAL);
    } else if (const auto* uuid = std::get_if<sql::Uuid>(&value)) {
      slot.text = sql::format_uuid(*uuid);
      string(i, slot.text, MYSQL_TYPE_STRING);
    } else if (const auto* at = std::get_if<sql::Timestamp>(&value)) {
      const auto day = std::chrono::floor<std::chrono::days>(*at);
      if (!year_fits(sql::Date(day))) refuse(i, sql, "the timestamp is outside of the years 0 to 9999", "22008");
      MYSQL_TIME& t = time(i, MYSQL_TYPE_DATETIME, MYSQL_TIMESTAMP_DATETIME);
      set_date(t, sql::Date(day));
      set_clock(t, *at - day);
    } else if (const auto* date = std::get_if<sql::Date>(&value)) {
      if (!date->ok() || !year_fits(*date)) refuse(i, sql, "the date is outside of the years 0 to 9999", "22008");
      set_date(time(i, MYSQL_TYPE_DATE, MYSQL_TIMESTAMP_DATE), *date);
    } else if (const auto* span = std::get_if<sql::Time>(&value)) {
      const auto length = std::chrono::abs(span->since_midnight);
      if (length >= longest_time + std::chrono::seconds(1)) refuse(i, sql, "the time is outside of -838:59:59 to 838:59:59", "22008");
      MYSQL_TIME& t = time(i, MYSQL_TYPE_TIME, MYSQL_TIMESTAMP_TIME);
      t.neg = span->since_midnight.count() < 0;
      set_clock(t, length);
      t.day = t.hour / 24;  // the protocol has one byte for hours
      t.hour %= 24;
    } else {
      refuse(i, sql, "arrays are there on PostgreSQL only");
    }
  }
  bindings_.reserve(order.size());
  for (const unsigned parameter : order) {
    bindings_.push_back(by_number[parameter]);
    bytes_ += by_number[parameter].buffer_length + 16;
  }
}

// ---- rows

struct RowReader::Column {
  Kind kind = Kind::text;
  union {
    std::int64_t integer;
    double real;
    float single;
  };
  MYSQL_TIME time;
  unsigned long length = 0;
  my_bool null = 0;
  my_bool error = 0;
  std::array<char, first_buffer> buffer;
};

RowReader::RowReader(MYSQL_STMT* statement) : statement_(statement) {
  const unsigned n = mysql_stmt_field_count(statement);
  columns_ = std::make_unique_for_overwrite<Column[]>(n);
  bindings_.resize(n);
  names_.reserve(n);
  for (unsigned i = 0; i < n; ++i) {
    const MYSQL_FIELD& field = mariadb_stmt_fetch_fields(statement)[i];
    names_.emplace_back(field.name, field.name_length);
    Column& column = columns_[i];
    MYSQL_BIND& bind = bindings_[i];
    bind.is_null = &column.null;
    bind.error = &column.error;
    bind.length = &column.length;
    bind.is_unsigned = (field.flags & UNSIGNED_FLAG) != 0;
    column.kind = kind_of(field.type, field.charsetnr, is_uuid(field));
    const auto fixed = [&bind](enum_field_types type, void* buffer) {
      bind.buffer_type = type;
      bind.buffer = buffer;
    };
    switch (column.kind) {
      case Kind::null: fixed(MYSQL_TYPE_NULL, nullptr); break;
      case Kind::integer: fixed(MYSQL_TYPE_LONGLONG, &column.integer); break;
      case Kind::real: fixed(MYSQL_TYPE_DOUBLE, &column.real); break;
      case Kind::single: fixed(MYSQL_TYPE_FLOAT, &column.single); break;
      case Kind::date: fixed(MYSQL_TYPE_DATE, &column.time); break;
      case Kind::time: fixed(MYSQL_TYPE_TIME, &column.time); break;
      case Kind::datetime: fixed(MYSQL_TYPE_DATETIME, &column.time); break;
      default:
        fixed(column.kind == Kind::bits || column.kind == Kind::bytes ? MYSQL_TYPE_BLOB : MYSQL_TYPE_STRING, column.buffer.data());
        bind.buffer_length = column.buffer.size();
    }
  }
  if (n > 0) mysql_stmt_bind_result(statement_, bindings_.data());
}

RowReader::~RowReader() = default;

void RowReader::read(std::vector<sql::Value>& cells) {
  for (unsigned i = 0; i < bindings_.size(); ++i) cells.push_back(value_of(columns_[i], i));
}

sql::Value RowReader::value_of(Column& column, unsigned index) {
  if (column.null || column.kind == Kind::null) return sql::Value(sql::Null{});
  switch (column.kind) {
    case Kind::integer:
      if (bindings_[index].is_unsigned) return unsigned_value(static_cast<std::uint64_t>(column.integer));
      return sql::Value(column.integer);
    case Kind::real: return sql::Value(column.real);
    case Kind::single: return sql::Value(static_cast<double>(column.single));
    case Kind::date:
      if (date_of(column.time).ok()) return sql::Value(date_of(column.time));
      return sql::Value(raw_date(column.time));
    case Kind::time: {
      const auto span = clock_of(column.time) + std::chrono::days(column.time.day);
      return sql::Value(sql::Time{column.time.neg ? -span : span});
    }
    case Kind::datetime: return timestamp_value(column.time);
    default: break;
  }
  std::string long_text;
  std::string_view s(column.buffer.data(), std::min<std::size_t>(column.length, column.buffer.size()));
  if (column.length > column.buffer.size()) {
    long_text.resize(column.length);
    MYSQL_BIND whole = bindings_[index];
    unsigned long length = 0;
    my_bool null = 0, error = 0;
    whole.buffer = long_text.data();
    whole.buffer_length = long_text.size();
    whole.length = &length;
    whole.is_null = &null;
    whole.error = &error;
    mysql_stmt_fetch_column(statement_, &whole, index, 0);
    if (column.kind == Kind::text) return sql::Value(std::move(long_text));
    s = long_text;
  }
  switch (column.kind) {
    case Kind::decimal: return sql::Decimal::valid(s) ? sql::Value(sql::Decimal(s)) : sql::Value(std::string(s));
    case Kind::bits: return unsigned_value(bits_of(s));
    case Kind::bytes: return sql::Value(to_bytes(s));
    case Kind::uuid: return value_or_text(sql::parse_uuid(s), s);
    default: return sql::Value(std::string(s));
  }
}

sql::Value decode_text(int type, unsigned flags, unsigned charset, std::string_view s) {
  switch (kind_of(type, charset, false)) {
    case Kind::integer: return (flags & UNSIGNED_FLAG) != 0 ? number_or_text<std::uint64_t>(s) : number_or_text<std::int64_t>(s);
    case Kind::real: return number_or_text<double>(s);
    case Kind::single: return number_or_text<float>(s);
    case Kind::decimal: return sql::Decimal::valid(s) ? sql::Value(sql::Decimal(s)) : sql::Value(std::string(s));
    case Kind::bits: return unsigned_value(bits_of(s));
    case Kind::bytes: return sql::Value(to_bytes(s));
    case Kind::date:
      if (const auto date = sql::parse_date(s); date && s.find("-00") == s.npos) return sql::Value(*date);
      return sql::Value(std::string(s));
    case Kind::time:
      if (const auto span = sql::parse_time(s)) return sql::Value(*span);
      return sql::Value(std::string(s));
    case Kind::datetime:
      if (const auto at = sql::parse_timestamp(s)) return sql::Value(*at);
      return sql::Value(std::string(s));
    default: return sql::Value(std::string(s));
  }
}

}  // namespace sluice::mysql
