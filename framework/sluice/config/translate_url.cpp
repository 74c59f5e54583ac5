#include <sluice/config/translate_url.hpp>

#include <sluice/config/translate_table.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <cctype>

namespace sluice::config {
namespace {

struct Dialect {
  std::string_view part;  // of the name, plain
  std::string_view scheme;
};
constexpr Dialect dialects[] = {{"postgis", "postgres"}, {"postgres", "postgres"}, {"pgsql", "postgres"}, {"mariadb", "mariadb"}, {"mysql", "mysql"},
                                {"sqlite", "sqlite"},    {"mongodb", "mongodb"},   {"rediss", "rediss"},  {"redis", "redis"}};

// Percent-encodes what would end the part; variables stay as they are.
std::string encoded(const std::string& part) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (part.compare(i, 2, "${") == 0) {
      const std::size_t close = std::min(part.find('}', i), part.size() - 1);
      out += part.substr(i, close + 1 - i);
      i = close;
      continue;
    }
    const auto c = static_cast<unsigned char>(part[i]);
    if (std::isalnum(c) || std::string_view("-._~!$'()*+,;").find(part[i]) != std::string_view::npos) {
      out += part[i];
    } else {
      out += '%';
      out += digits[c >> 4];
      out += digits[c & 15];
    }
  }
  return out;
}

}  // namespace

std::string scheme_named(std::string_view name) {
  const std::string plain = plain_name(name);
  for (const Dialect& dialect : dialects) {
    if (plain.find(dialect.part) != std::string::npos) return std::string(dialect.scheme);
  }
  return plain.substr(0, plain.find('+'));
}

bool UrlParts::empty() const { return host.empty() && database.empty() && variable.empty(); }

std::vector<std::pair<std::string, std::string>> UrlParts::take_url(std::string_view url) {
  whole_ = true;
  if (url.starts_with("jdbc:")) url.remove_prefix(5);
  const std::size_t colon = url.find(':');
  if (url.starts_with("${") && url.find('}') == url.size() - 1) {
    // A variable with the url of a server as its fallback is still one.
    variable = url;
    return {};
  }
  if (colon == std::string_view::npos) {
    host = url;
    return {};
  }
  scheme = url.substr(0, colon);
  if (const std::string known = scheme_named(scheme); known != "mongodb" && !scheme.starts_with("http")) scheme = known;
  url.remove_prefix(colon + 1);
  if (url.starts_with("//")) url.remove_prefix(2);
  std::vector<std::pair<std::string, std::string>> out;
  if (const std::size_t mark = url.find('?'); mark != std::string_view::npos) {
    std::string_view query = url.substr(mark + 1);
    url = url.substr(0, mark);
    while (!query.empty()) {
      const std::size_t end = std::min(query.find('&'), query.size());
      const std::string_view pair = query.substr(0, end);
      const std::size_t equals = pair.find('=');
      out.emplace_back(pair.substr(0, equals), equals == std::string_view::npos ? "" : pair.substr(equals + 1));
      query.remove_prefix(std::min(end + 1, query.size()));
    }
  }
  if (scheme == "sqlite") {
    database = url.starts_with('/') ? url.substr(1) : url;  // sqlite:///relative, sqlite:////absolute
    return out;
  }
  const std::size_t at = url.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view who = url.substr(0, at);
    const std::size_t split = who.find(':');
    user = who.substr(0, split);
    if (split != std::string_view::npos) password = who.substr(split + 1);
    url.remove_prefix(at + 1);
  }
  const std::size_t slash = url.find('/');
  host = url.substr(0, slash);
  if (slash != std::string_view::npos) database = url.substr(slash + 1);
  return out;
}

std::string UrlParts::text(std::string_view usual_scheme) const {
  if (!variable.empty()) return variable;
  const std::string begin = scheme.empty() ? std::string(usual_scheme) : scheme;
  if (begin == "sqlite") return sluice::text("sqlite:", database.empty() ? ":memory:" : database);
  // A url's own parts are encoded already.
  const auto part = [&](const std::string& value) { return whole_ ? value : encoded(value); };
  std::string out = sluice::text(begin, "://");
  if (!user.empty() || !password.empty()) out += sluice::text(part(user), password.empty() ? "" : ":", part(password), "@");
  const bool bare_v6 = !whole_ && std::count(host.begin(), host.end(), ':') > 1 && host[0] != '[' && host.find("${") == std::string::npos;
  const bool socket = host.starts_with('/');
  if (!socket) out += bare_v6 ? sluice::text("[", host, "]") : host.empty() ? "localhost" : host;
  if (!port.empty()) out += sluice::text(":", port);
  if (!database.empty()) out += sluice::text("/", part(database));
  std::string_view separator = "?";
  if (socket) {
    out += sluice::text("?host=", host);
    separator = "&";
  }
  for (const auto& [name, value] : parameters) {
    out += sluice::text(separator, name, "=", value);
    separator = "&";
  }
  return out;
}

std::string UrlParts::remark() const {
  if (!variable.empty()) {
    const std::string parts = host.empty() && database.empty() ? "" : "; host, user and database are used there while it is empty: here they are left out";
    return "the scheme in the variable must be plain: postgres, not postgresql+psycopg2" + parts;
  }
  const std::string_view name = scheme;
  if (!name.empty() && name != "postgres" && name != "sqlite" && name != "mysql" && name != "mariadb")
    return sluice::text("needs a driver for ", name, ": to be linked into the application");
  return {};
}

}  // namespace sluice::config
