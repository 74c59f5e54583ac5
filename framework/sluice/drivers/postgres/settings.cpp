#include <sluice/drivers/postgres/settings.hpp>

#include <sluice/config/in_force.hpp>
#include <sluice/core/text.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <memory>

namespace sluice::postgres {
namespace {

using OptionList = std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)>;
using Values = std::map<std::string, std::string>;

Values values_of(const PQconninfoOption* options) {
  Values values;
  for (; options && options->keyword; ++options) {
    if (options->val && *options->val) values[options->keyword] = options->val;
  }
  return values;
}

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = from.empty() ? std::string::npos : text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

[[noreturn]] void refuse(const config::Pool& pool, const std::string& reason) { throw Error(text("pools.", pool.name, ".url: ", reason)); }

Values parse_url(const config::Pool& pool) {
  // libpq takes a scheme in capitals, or without "//", for the first of its words and values.
  const std::string url = pool::scheme_of(pool.url) + pool.url.substr(std::min(pool.url.find(':'), pool.url.size()));
  if (!url.starts_with("postgres://") && !url.starts_with("postgresql://")) refuse(pool, "must look like postgres://user:password@host:5432/database");
  // libpq would quote the part that it cannot decode, which may be the password.
  const auto hex = [&url](std::size_t i) { return i < url.size() && std::isxdigit(static_cast<unsigned char>(url[i])) != 0; };
  for (std::size_t i = url.find('%'); i != url.npos; i = url.find('%', i + 1)) {
    if (!hex(i + 1) || !hex(i + 2) || url.compare(i + 1, 2, "00") == 0)
      refuse(pool, "'%' must be followed by two hexadecimal digits, not 00 (a plain % is written %25)");
  }
  char* message = nullptr;
  const OptionList parsed(PQconninfoParse(url.c_str(), &message), PQconninfoFree);
  if (!parsed) {
    // libpq quotes the url, password included.
    std::string reason = replace_all(message ? message : "out of memory", url, config::redact_url(url));
    PQfreemem(message);
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    refuse(pool, reason);
  }
  return values_of(parsed.get());
}

std::string take(Values& values, const std::string& name) {
  const auto found = values.find(name);
  if (found == values.end()) return {};
  std::string value = std::move(found->second);
  values.erase(found);
  return value;
}

std::vector<TlsMode> tls_attempts(const config::Pool& pool, const std::string& mode, bool local) {
  if (local || mode == "disable") return {"disable"};
  if (mode.empty() || mode == "prefer") return {"require", "disable"};
  if (mode == "allow") return {"disable", "require"};
  for (TlsMode known : {"require", "verify-ca", "verify-full"}) {
    if (mode == known) return {known};
  }
  refuse(pool, text("TLS mode \"", mode, "\" is unknown: use disable, allow, prefer, require, verify-ca or verify-full"));
}

}  // namespace

std::string Settings::place() const {
  if (local()) return text(host.empty() ? "default Unix socket" : host, ", port ", port);
  const std::string& shown = host.empty() ? address : host;
  return shown.find(':') == std::string::npos ? text(shown, ":", port) : text("[", shown, "]:", port);
}

Settings parse_settings(const config::Pool& given, const pool::Identity& identity) {
  const config::Pool pool = config::in_force(given);
  Values values = parse_url(pool);
  // What libpq would take from the environment. Only who and where are settled here: asking later could block the loop
  // (user name) or bring in a name that libpq resolves itself (PGHOST). PGPASSWORD and ~/.pgpass stay libpq's matter.
  const OptionList defaults(PQconndefaults(), PQconninfoFree);
  Values environment = values_of(defaults.get());
  for (const char* name : {"user", "port"}) {
    if (!values.count(name)) values[name] = environment[name];
  }
  if (!values.count("host") && !values.count("hostaddr")) {
    for (const char* name : {"host", "hostaddr"}) values[name] = environment[name];
  }
  if (values.count("service")) refuse(pool, "connection service files are not supported; write host, port and database into the url");

  Settings settings;
  settings.pool = pool.name;
  settings.host = take(values, "host");
  settings.address = take(values, "hostaddr");
  settings.port = take(values, "port");
  if (settings.port.empty()) settings.port = "5432";
  for (const std::string* part : {&settings.host, &settings.address, &settings.port}) {
    if (part->find(',') != std::string::npos) refuse(pool, "names several hosts; a pool has one server (give each server a pool of its own)");
  }
  // A password with one of these signs in it becomes part of the host or of the port, and is not shown here either.
  unsigned port = 0;
  const char* const end = settings.port.data() + settings.port.size();
  const auto [read_to, wrong] = std::from_chars(settings.port.data(), end, port);
  if (wrong != std::errc() || read_to != end || port == 0 || port > 65535 || (!settings.local() && settings.host.find('@') != std::string::npos))
    refuse(pool, "the host is none, or the port is no number from 1 to 65535 (in a password @ : / ? are written %40 %3A %2F %3F)");
  settings.options = take(values, "options");
  settings.application = identity.text();

  std::string mode = take(values, "sslmode");
  if (!pool.tls_mode.empty()) mode = pool.tls_mode;
  settings.tls = tls_attempts(pool, mode, settings.local());
  if (!pool.tls_ca.empty()) values["sslrootcert"] = pool.tls_ca;
  if (!pool.tls_cert.empty()) values["sslcert"] = pool.tls_cert;
  if (!pool.tls_key.empty()) values["sslkey"] = pool.tls_key;

  for (const char* ours : {"application_name", "fallback_application_name", "client_encoding", "gssencmode", "connect_timeout", "requiressl"})
    values.erase(ours);
  for (auto& [name, value] : values) {
    if (!value.empty()) settings.parameters.emplace_back(name, std::move(value));
  }
  settings.validation_query = pool.validation_query;
  settings.statement_cache = pool.statement_cache;
  settings.close_timeout = pool.close_timeout;
  settings.show_values = pool.log_parameters;
  settings.keep_statements_on_reset = pool.reset_on_return != config::ResetOnReturn::always;
  return settings;
}

}  // namespace sluice::postgres
