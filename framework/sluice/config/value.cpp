#include <sluice/config/bytes.hpp>
#include <sluice/config/duration.hpp>
#include <sluice/config/table.hpp>
#include <sluice/config/value.hpp>
#include <sluice/config/worker_counts.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace sluice::config {
namespace {

using P = Parsed<Value>;
using Form = Raw::Form;

template <class N>
bool read_number(std::string_view text, N& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

P must_be(const Option& option) { return P::wrong(text("must be ", expectation(option))); }

// The value in the unit of Option::low and high.
std::optional<double> magnitude(const Value& value) {
  if (const auto* n = std::get_if<std::uint64_t>(&value)) return static_cast<double>(*n);
  if (const auto* n = std::get_if<double>(&value)) return *n;
  if (const auto* d = std::get_if<Duration>(&value)) return std::chrono::duration<double>(*d).count();
  return std::nullopt;
}

bool in_range(const Option& option, const Value& value) {
  const auto size = magnitude(value);
  if (!size) return true;
  return *size >= option.low && (option.below_high ? *size < option.high : *size <= option.high);
}

P parse_boolean(const Option& option, const Raw& raw) {
  const std::string& t = raw.text;
  if (raw.form != Form::words && raw.form != Form::boolean) return must_be(option);
  if (t == "true" || t == "yes" || t == "on" || t == "1") return Value(true);
  if (t == "false" || t == "no" || t == "off" || t == "0") return Value(false);
  return must_be(option);
}

P parse_integer(const Option& option, const Raw& raw) {
  std::uint64_t number = 0;
  if (!read_number(raw.text, number)) return must_be(option);
  if (raw.form == Form::string) return P::wrong(text("is text; write ", number, " without quotes"));
  return Value(number);
}

P parse_fraction(const Option& option, const Raw& raw) {
  double number = 0;
  if (!read_number(raw.text, number) || !std::isfinite(number)) return must_be(option);
  if (raw.form == Form::string) return P::wrong(text("is text; write ", number, " without quotes"));
  return Value(number);
}

template <class T>
P wrap(Parsed<T> parsed) {
  if (!parsed) return P::wrong(std::move(parsed.problem));
  return Value(std::move(parsed.value));
}

P parse_choice(const Option& option, const Raw& raw) {
  const auto& all = option.choices;
  if (std::find(all.begin(), all.end(), raw.text) != all.end()) return Value(raw.text);
  const std::string_view near = closest(raw.text, all.data(), all.data() + all.size());
  return P::wrong(text("must be ", expectation(option), near.empty() ? "" : text("; did you mean '", near, "'?")));
}

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  return read_number(text, port);
}

// "host:port", "[v6]:port", ":port" (every interface), "unix:/path".
bool is_address(std::string_view text) {
  if (text.starts_with("unix:")) return text.size() > 5 && text.size() - 5 < 108;
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos || !is_port(text.substr(colon + 1))) return false;
  const std::string_view host = text.substr(0, colon);
  if (host.starts_with('[')) return host.ends_with(']') && host.size() > 2;
  return host.find_first_of(":[]/ ") == host.npos;
}

P parse_text(const Option& option, const Raw& raw) {
  if (raw.form == Form::number || raw.form == Form::boolean) return P::wrong(text("must be text; write it in quotes, \"", raw.text, "\""));
  if (option.type == Type::choice) return parse_choice(option, raw);
  if (option.type == Type::address && !(option.may_be_off && raw.text == "off") && !is_address(raw.text)) return must_be(option);
  if (raw.text.find('\0') != std::string::npos) return P::wrong("must not contain a zero byte");
  return Value(raw.text);
}

P parse_typed(const Option& option, const Raw& raw) {
  switch (option.type) {
    case Type::boolean: return parse_boolean(option, raw);
    case Type::integer: return parse_integer(option, raw);
    case Type::number: return parse_fraction(option, raw);
    case Type::duration: return raw.form == Form::boolean ? must_be(option) : wrap(parse_duration(raw.text));
    case Type::bytes: return raw.form == Form::boolean ? must_be(option) : wrap(parse_bytes(raw.text));
    case Type::workers: return raw.form == Form::boolean ? must_be(option) : wrap(parse_workers(raw.text));
    case Type::text:
    case Type::choice:
    case Type::address: return parse_text(option, raw);
    case Type::json: return Value(raw.text);
  }
  return must_be(option);
}

// `size` is in the unit of Option::low and high.
std::string format_limit(const Option& option, double size) {
  if (option.type == Type::duration) return format_duration(std::chrono::round<Duration>(std::chrono::duration<double>(size)));
  if (option.type == Type::bytes) return format_bytes(static_cast<std::uint64_t>(size));
  if (option.type == Type::integer) return text(static_cast<std::uint64_t>(size));
  return text(size);
}

std::string range(const Option& option) {
  return text(" from ", format_limit(option, option.low), option.below_high ? " to below " : " to ", format_limit(option, option.high));
}

std::string listed(std::span<const std::string_view> choices) {
  std::string out;
  for (const std::string_view choice : choices) out += text(out.empty() ? "" : ", ", choice.empty() ? "\"\"" : choice);
  return out;
}

}  // namespace

Parsed<Value> parse_value(const Option& option, const Raw& raw) {
  const bool wordy = raw.form == Form::words || raw.form == Form::string;
  if (!option.absent.empty() && (raw.form == Form::null || (wordy && raw.text == option.absent))) return Value(std::monostate{});
  if (raw.form == Form::null) return P::wrong("has no value; leave the key out for the default");
  if (option.type != Type::json && (raw.form == Form::list || raw.form == Form::object)) return must_be(option);
  P parsed = parse_typed(option, raw);
  if (parsed && !in_range(option, parsed.value)) return must_be(option);
  return parsed;
}

std::string format_value(const Option& option, const Value& value) {
  struct Formatter {
    const Option& option;
    std::string operator()(std::monostate) const { return std::string(option.absent); }
    std::string operator()(bool b) const { return b ? "true" : "false"; }
    std::string operator()(std::uint64_t n) const { return option.type == Type::bytes ? format_bytes(n) : text(n); }
    std::string operator()(double n) const { return text(n); }
    std::string operator()(const std::string& s) const { return s; }
    std::string operator()(Duration d) const { return format_duration(d); }
    std::string operator()(const WorkerCounts& counts) const { return format_workers(counts); }
  };
  return std::visit(Formatter{option}, value);
}

std::string expectation(const Option& option) {
  std::string out;
  switch (option.type) {
    case Type::boolean: out = "true or false"; break;
    case Type::integer: out = text("a whole number", range(option)); break;
    case Type::number: out = text("a number", range(option)); break;
    case Type::text: out = "text"; break;
    case Type::choice: out = text("one of ", listed(option.choices)); break;
    case Type::address: out = text("host:port, [v6]:port or unix:/path", option.may_be_off ? ", or off" : ""); break;
    case Type::duration: out = text("a duration with its unit", range(option)); break;
    case Type::bytes: out = text("a size", range(option)); break;
    case Type::workers: out = "a number of workers, \"auto\", or counts by kind such as \"web=4,jobs=2\""; break;
    case Type::json: out = "any value"; break;
  }
  if (!option.absent.empty()) out += text(", or \"", option.absent, "\"");
  return out;
}

}  // namespace sluice::config
