#include <sluice/config/config.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>
#include <sluice/drivers/sqlite/location.hpp>
#include <sluice/pool/registry.hpp>

#include <cctype>
#include <string_view>

namespace sluice::sqlite {
namespace {

int hex(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

[[noreturn]] void malformed(const std::string& url, const std::string& why) { throw Error(text("SQLite url \"", config::redact_url(url), "\": ", why)); }

std::string decode(std::string_view s, const std::string& url) {
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '%') {
      out += s[i];
      continue;
    }
    const int high = i + 2 < s.size() ? hex(s[i + 1]) : -1;
    const int low = i + 2 < s.size() ? hex(s[i + 2]) : -1;
    if (high < 0 || low < 0 || high + low == 0) malformed(url, "% must be followed by two hexadecimal digits other than 00");
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

void apply(Location& location, std::string_view name, std::string_view value, const std::string& url) {
  const auto unknown = [&](const char* choices) { malformed(url, text(name, "=", value, " is not one of ", choices)); };
  if (name == "mode") {
    if (value == "ro") location.mode = OpenMode::read_only;
    else if (value == "rw") location.mode = OpenMode::existing;
    else if (value == "rwc") location.mode = OpenMode::create;
    else unknown("ro, rw, rwc");
  } else if (name == "synchronous") {
    if (value != "normal" && value != "full") unknown("normal, full");
    location.full_sync = value == "full";
  } else {
    malformed(url, text("unknown parameter \"", name, "\" (known: mode, synchronous)"));
  }
}

}  // namespace

Location parse_location(const std::string& url) {
  std::string_view rest = url;
  if (pool::scheme_of(url) != "sqlite") malformed(url, "it must begin with sqlite:");
  rest.remove_prefix(7);

  std::string_view parameters;
  if (const auto mark = rest.find('?'); mark != std::string_view::npos) {
    parameters = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  if (rest.substr(0, 2) == "//") {
    rest.remove_prefix(2);
    if (rest.empty() || rest.front() != '/') malformed(url, "after sqlite:// comes an absolute path (sqlite:///var/lib/app.db); a relative one is written sqlite:app.db");
  }

  Location location;
  location.memory = rest == ":memory:";
  location.path = decode(rest, url);
  if (location.path.empty()) malformed(url, "it names no file (sqlite:app.db, sqlite:/var/lib/app.db or sqlite::memory:)");
  if (location.path.back() == '/') malformed(url, "it names a directory, not a file");

  while (!parameters.empty()) {
    const std::string_view one = parameters.substr(0, parameters.find('&'));
    parameters.remove_prefix(one.size() == parameters.size() ? one.size() : one.size() + 1);
    const auto equals = one.find('=');
    apply(location, one.substr(0, equals), equals == std::string_view::npos ? std::string_view() : one.substr(equals + 1), url);
  }
  return location;
}

}  // namespace sluice::sqlite
