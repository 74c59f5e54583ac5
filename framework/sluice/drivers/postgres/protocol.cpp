#include <sluice/drivers/postgres/protocol.hpp>

#include <sluice/core/text.hpp>
#include <sluice/sql/error.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <utility>

namespace sluice::postgres {
namespace {

constexpr std::size_t head_size = 5;                   // a type and a length, which counts itself
constexpr std::size_t longest_message = 0x3ffffffe;    // the server takes and makes no longer ones
constexpr std::size_t longest_small_message = 30'000;  // of the kinds that carry no data: a greater length is no length
constexpr std::size_t kept_for_the_next = 256 * 1024;  // of a buffer that a long message has made larger

void put16(std::string& out, std::size_t n) { out += {static_cast<char>(n >> 8), static_cast<char>(n)}; }
void put32(char* at, std::size_t n) noexcept {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<char>(n >> (24 - 8 * i));
}
void put32(std::string& out, std::size_t n) {
  char bytes[4];
  put32(bytes, n);
  out.append(bytes, 4);
}

// A value with its length before it.
void put_value(std::string& out, const sql::Value& value) {
  if (std::holds_alternative<sql::Null>(value)) return put32(out, 0xffffffff);
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    char digits[24];
    const char* const end = std::to_chars(digits, digits + sizeof digits, *number).ptr;
    put32(out, static_cast<std::size_t>(end - digits));
    out.append(digits, static_cast<std::size_t>(end - digits));
  } else if (const auto* string = std::get_if<std::string>(&value)) {
    put32(out, string->size());
    out += *string;
  } else if (const auto* bytes = std::get_if<sql::Bytes>(&value)) {
    put32(out, bytes->size());
    out.append(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  } else {
    const std::string text = format_value(value);
    put32(out, text.size());
    out += text;
  }
}

std::uint32_t number32(const char* at) noexcept {
  std::uint32_t n = 0;
  for (int i = 0; i < 4; ++i) n = n << 8 | static_cast<unsigned char>(at[i]);
  return n;
}

// Takes from the front of a body.
class Reader {
 public:
  explicit Reader(std::string_view body) noexcept : rest_(body) {}
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) throw ProtocolError("a message of the server is shorter than it says");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  char byte() { return take(1).front(); }
  std::uint32_t take16() {
    const std::string_view s = take(2);
    return static_cast<std::uint32_t>(static_cast<unsigned char>(s[0])) << 8 | static_cast<unsigned char>(s[1]);
  }
  std::uint32_t take32() { return number32(take(4).data()); }
  std::string_view string() {
    const std::size_t size = rest_.find('\0');
    if (size == rest_.npos) throw ProtocolError("a text of the server has no end");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size + 1);
    return taken;
  }
  bool at_end() const noexcept { return rest_.empty(); }

 private:
  std::string_view rest_;
};

int number_of(char type) noexcept { return static_cast<unsigned char>(type); }

bool may_be_long(char type) noexcept { return std::string_view("DENCSAGHWVtTd").find(type) != std::string_view::npos; }

}  // namespace

void put_run(std::string& out, std::string_view name, const std::vector<sql::Value>& parameters, const std::string& sql) {
  const std::size_t before = out.size();
  const auto refuse = [&](sql::Class what, const char* code, std::string why) {
    out.resize(before);
    const std::string shown = sql::shorten(sql);
    throw sql::SqlError(sql::Phase::encode, what, code, 0, text(why, "; in: ", shown), shown);
  };
  if (parameters.size() > 0xffff) refuse(sql::Class::other, "54000", text(parameters.size(), " parameters, but PostgreSQL takes 65535 at most"));
  const std::size_t bind = out.size();
  out.append("B\0\0\0\0\0", 6);  // length later; the unnamed portal
  out += name;
  out += '\0';
  const bool bytes = std::any_of(parameters.begin(), parameters.end(), [](const sql::Value& v) { return std::holds_alternative<sql::Bytes>(v); });
  put16(out, bytes ? parameters.size() : 0);
  for (const sql::Value& value : parameters) {
    if (bytes) put16(out, std::holds_alternative<sql::Bytes>(value) ? 1 : 0);
  }
  put16(out, parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::size_t begin = out.size();
    put_value(out, parameters[i]);
    if (std::memchr(out.data() + std::min(begin + 4, out.size()), 0, out.size() - std::min(begin + 4, out.size())) &&
        !std::holds_alternative<sql::Bytes>(parameters[i])) {
      refuse(sql::Class::type, "22021", text("parameter $", i + 1, ": text with a zero byte; PostgreSQL holds such data only as bytes"));
    }
    if (out.size() - bind > longest_message) refuse(sql::Class::other, "54000", "its parameters are longer than a message may be, 1 GB");
  }
  put16(out, 0);  // every column as text
  put32(out.data() + bind + 1, out.size() - bind - 1);
  out.append("E\0\0\0\x09\0\0\0\0\0", 10);  // Execute of the unnamed portal, all rows
}

void put_sync(std::string& out) { out.append("S\0\0\0\x04", 5); }

std::span<char> Incoming::room(std::size_t least) {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (capacity_ > kept_for_the_next) {
      buffer_.reset();
      capacity_ = 0;
    }
  }
  least = std::max(least, awaited_ > end_ - begin_ ? awaited_ - (end_ - begin_) : 0);
  if (capacity_ - end_ < least) {
    const std::size_t kept = end_ - begin_, wanted = kept + least;
    if (capacity_ < wanted) {
      const std::size_t larger = std::max(wanted, 2 * capacity_);
      auto grown = std::make_unique_for_overwrite<char[]>(larger);
      std::copy_n(buffer_.get() + begin_, kept, grown.get());
      buffer_ = std::move(grown);
      capacity_ = larger;
    } else {
      std::memmove(buffer_.get(), buffer_.get() + begin_, kept);
    }
    begin_ = 0;
    end_ = kept;
  }
  return {buffer_.get() + end_, capacity_ - end_};
}

std::optional<Message> Incoming::next() {
  const std::size_t there = end_ - begin_;
  awaited_ = 0;
  if (there < head_size) return std::nullopt;
  const char* const at = buffer_.get() + begin_;
  const std::size_t length = number32(at + 1), size = length + 1;
  if (length < 4 || length > longest_message || (length > longest_small_message && !may_be_long(*at)))
    throw ProtocolError(text("the server said what is no message (type ", number_of(*at), ", length ", length, ")"));
  if (there < size) {
    awaited_ = size;
    return std::nullopt;
  }
  begin_ += size;
  return Message{*at, {at + head_size, size - head_size}};
}

void append_row(std::string_view body, const RowShape& shape, sql::ResultSet& set) {
  Reader row(body);
  const std::size_t columns = row.take16();
  if (columns != shape.types.size()) throw ProtocolError(text("a row has ", columns, " columns, but its statement ", shape.types.size()));
  ++set.row_count;
  for (std::size_t c = 0; c < columns; ++c) {
    const std::uint32_t size = row.take32();
    if (size == 0xffffffff)
      set.cells.emplace_back(sql::Null{});
    else
      set.cells.push_back(decode(shape.types[c], row.take(size)));
  }
  if (!row.at_end()) throw ProtocolError("a row of the server is longer than its columns");
}

std::string_view tag_of(std::string_view body) { return Reader(body).string(); }

ServerReport report_of(std::string_view body) {
  ServerReport report;
  Reader fields(body);
  for (char code = fields.byte(); code != '\0'; code = fields.byte()) {
    const std::string_view value = fields.string();
    if (std::string* const field = report.field(code)) *field = value;
  }
  return report;
}

char status_of(std::string_view body) {
  const char status = Reader(body).byte();
  if (std::string_view("ITE").find(status) == std::string_view::npos) throw ProtocolError("the server is ready in a state that there is not");
  return status;
}

}  // namespace sluice::postgres
