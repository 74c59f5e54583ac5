#include <sluice/drivers/mysql/settings.hpp>

#include <sluice/core/text.hpp>

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>

namespace sluice::mysql {
namespace {

[[noreturn]] void refuse(const config::Pool& pool, const std::string& reason) { throw Error(text("pools.", pool.name, ".url: ", reason)); }

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string decoded(const config::Pool& pool, std::string_view part) {
  std::string out;
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (part[i] != '%') {
      out += part[i];
      continue;
    }
    const int high = i + 2 < part.size() ? hex_digit(part[i + 1]) : -1;
    const int low = i + 2 < part.size() ? hex_digit(part[i + 2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0))
      refuse(pool, "'%' must be followed by two hexadecimal digits, not 00 (a plain % is written %25)");
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return out;
}

// The text before `separator`, which is removed with it; everything if there is none.
std::string_view take_until(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return taken;
}

void parse_authority(const config::Pool& pool, std::string_view authority, Settings& settings) {
  // The last '@': an unescaped one in a password is a common mistake that needs no punishment.
  if (const std::size_t at = authority.rfind('@'); at != authority.npos) {
    std::string_view user = authority.substr(0, at);
    authority.remove_prefix(at + 1);
    settings.user = decoded(pool, take_until(user, ':'));
    settings.password = decoded(pool, user);
  }
  if (authority.find(',') != authority.npos) refuse(pool, "names several hosts; a pool has one server (give each server a pool of its own)");
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == authority.npos) refuse(pool, "the host begins with '[' and lacks the ']'");
    settings.host = std::string(authority.substr(1, end - 1));
    port = authority.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) refuse(pool, "after the ']' of the host only a ':' and a port may follow");
    if (!port.empty()) port.remove_prefix(1);
  } else {
    const std::size_t colon = std::min(authority.rfind(':'), authority.size());
    settings.host = decoded(pool, authority.substr(0, colon));
    port = authority.substr(std::min(colon + 1, authority.size()));
  }
  if (port.empty()) return;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), settings.port);
  if (error != std::errc() || end != port.data() + port.size() || settings.port == 0)
    refuse(pool, "the port is no number from 1 to 65535 (in a password @ : / ? are written %40 %3A %2F %3F)");
}

Tls tls_of(const config::Pool& pool, const std::string& mode, bool local) {
  if (mode.empty()) return local ? Tls::disable : Tls::prefer;
  if (mode == "disable") return Tls::disable;
  if (mode == "prefer") return Tls::prefer;
  if (mode == "require") return Tls::require;
  if (mode == "verify-ca") return Tls::verify_ca;
  if (mode == "verify-full") return Tls::verify_full;
  refuse(pool, text("TLS mode \"", mode, "\" is unknown: use disable, prefer, require, verify-ca or verify-full"));
}

}  // namespace

std::string Settings::place() const {
  if (local()) return socket;
  return host.find(':') == host.npos ? text(host, ":", port) : text("[", host, "]:", port);
}

Settings parse_settings(const config::Pool& pool, const pool::Identity& identity) {
  std::string_view rest = pool.url;
  const std::size_t scheme = rest.find("://");
  if (scheme == rest.npos) refuse(pool, "must look like mysql://user:password@host:3306/database");
  rest.remove_prefix(scheme + 3);
  Settings settings;
  settings.pool = pool.name;
  const std::size_t fragment = rest.find('#');
  if (fragment != rest.npos) refuse(pool, "'#' has no meaning in it; in a password it is written %23");
  // An unescaped '/' or '?' of a password must not end the authority: what follows the last '@' does.
  const std::size_t at = rest.rfind('@', rest.find('?', rest.rfind('@') == rest.npos ? 0 : rest.rfind('@')));
  const std::size_t from = at == rest.npos ? 0 : at;
  const std::size_t authority_end = std::min(rest.find_first_of("/?", from), rest.size());
  parse_authority(pool, rest.substr(0, authority_end), settings);
  rest.remove_prefix(authority_end);
  std::string_view query;
  if (const std::size_t mark = rest.find('?'); mark != rest.npos) {
    query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  if (rest.starts_with('/')) rest.remove_prefix(1);
  if (rest.find('/') != rest.npos) refuse(pool, "after the host comes one database name; a '/' in it is written %2F");
  settings.database = decoded(pool, rest);

  std::map<std::string, std::string> parameters;
  while (!query.empty()) {
    std::string_view value = take_until(query, '&');
    const std::string name = decoded(pool, take_until(value, '='));
    if (name != "sslmode" && name != "sslrootcert" && name != "sslcert" && name != "sslkey" && name != "socket")
      refuse(pool, text("the parameter \"", name, "\" is unknown: there are sslmode, sslrootcert, sslcert, sslkey and socket"));
    parameters[name] = decoded(pool, value);
  }
  settings.socket = parameters["socket"];
  if (settings.host.starts_with('/')) settings.socket = std::exchange(settings.host, {});
  if (!settings.socket.empty() && !settings.host.empty() && settings.host != "localhost")
    refuse(pool, text("names both the host ", settings.host, " and a Unix socket; leave one out"));
  if (settings.socket.empty() && settings.host.empty()) settings.host = "localhost";

  const auto either = [&parameters](const std::string& option, const char* parameter) { return option.empty() ? parameters[parameter] : option; };
  settings.tls = tls_of(pool, either(pool.tls_mode, "sslmode"), settings.local());
  settings.tls_ca = either(pool.tls_ca, "sslrootcert");
  settings.tls_cert = either(pool.tls_cert, "sslcert");
  settings.tls_key = either(pool.tls_key, "sslkey");
  if (settings.tls == Tls::verify_ca && settings.tls_ca.empty())
    refuse(pool, "TLS mode verify-ca needs the authority's certificate: set sslrootcert or tls_ca");
  settings.application = identity.text();
  settings.validation_query = pool.validation_query;
  settings.statement_cache = pool.statement_cache;
  settings.statement_timeout = pool.statement_timeout;
  settings.close_timeout = pool.close_timeout;
  settings.show_values = pool.log_parameters;
  settings.keep_statements_on_reset = pool.reset_on_return != config::ResetOnReturn::always;
  return settings;
}

}  // namespace sluice::mysql
