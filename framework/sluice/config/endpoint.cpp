#include <sluice/config/endpoint.hpp>

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace sluice::config {
namespace {

struct Family {
  std::string_view scheme;
  std::string_view canonical;
  std::string_view port;
};
// Names and usual ports only; whether a driver is linked is the registry's question.
constexpr Family families[] = {
    {"postgres", "postgres", "5432"}, {"postgresql", "postgres", "5432"}, {"mysql", "mysql", "3306"},      {"mariadb", "mysql", "3306"},
    {"redis", "redis", "6379"},       {"rediss", "redis", "6379"},        {"mongodb", "mongodb", "27017"}, {"http", "http", "80"},
    {"https", "https", "443"},        {"sqlite3", "sqlite", ""},
};

std::string lowered(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return s;
}

bool is_scheme(const std::string& s) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !s.empty() && letter(s[0]) &&
         std::all_of(s.begin(), s.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'; });
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// "%2Frun" is "/run". What is malformed stays as it is: the driver refuses it.
std::string decoded(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return out;
}

bool is_path(const std::string& host) { return host.starts_with('/') || host.starts_with('@'); }

std::string parameter(const std::string& query, std::string_view name) {
  std::size_t begin = 0;
  while (begin < query.size()) {
    const std::size_t end = std::min(query.find('&', begin), query.size());
    const std::size_t equals = query.find('=', begin);
    if (equals < end && query.substr(begin, equals - begin) == name) return decoded(query.substr(equals + 1, end - equals - 1));
    begin = end + 1;
  }
  return {};
}

}  // namespace

std::optional<Endpoint> endpoint_of(const std::string& url) {
  const std::size_t colon = url.find(':');
  if (colon == std::string::npos) return std::nullopt;
  Endpoint endpoint;
  endpoint.scheme = lowered(url.substr(0, colon));
  if (!is_scheme(endpoint.scheme)) return std::nullopt;
  std::string_view usual_port;
  for (const Family& family : families) {
    if (family.scheme != endpoint.scheme) continue;
    endpoint.scheme = family.canonical;
    usual_port = family.port;
    break;
  }
  std::string rest = url.substr(colon + 1);
  const std::size_t mark = rest.find('?');
  const std::string query = mark == std::string::npos ? "" : rest.substr(mark + 1);
  rest = rest.substr(0, mark);
  if (rest.starts_with("//")) rest = rest.substr(2);
  if (endpoint.is_sqlite()) {
    endpoint.host = rest == ":memory:" ? rest : std::filesystem::path(decoded(rest)).lexically_normal().string();
    return endpoint;
  }
  // A slash in an unescaped password would end the authority too early: the last '@' before the query ends the user part.
  if (const std::size_t at = rest.rfind('@'); at != std::string::npos) rest = rest.substr(at + 1);
  rest = rest.substr(0, rest.find('/'));
  const std::size_t port = rest.rfind(':');
  const bool has_port = port != std::string::npos && rest.find(']', port) == std::string::npos;
  endpoint.host = decoded(has_port ? rest.substr(0, port) : rest);
  if (!is_path(endpoint.host)) endpoint.host = lowered(endpoint.host);
  endpoint.port = has_port ? rest.substr(port + 1) : "";
  if (endpoint.scheme == "mysql") {
    if (const std::string socket = parameter(query, "socket"); !socket.empty()) endpoint.host = socket;
    if (endpoint.host.empty()) endpoint.host = "localhost";
    if (is_path(endpoint.host)) {  // each of its sockets is one server's, whatever its port
      endpoint.port.clear();
      return endpoint;
    }
  }
  if (endpoint.scheme == "postgres") {  // libpq takes the parameter where there are both
    if (const std::string host = parameter(query, "host"); !host.empty()) endpoint.host = is_path(host) ? host : lowered(host);
    if (const std::string number = parameter(query, "port"); !number.empty()) endpoint.port = number;
  }
  if (endpoint.host.empty()) endpoint.host = parameter(query, "host");
  if (endpoint.host.empty()) endpoint.host = parameter(query, "hostaddr");
  if (endpoint.port.empty()) endpoint.port = parameter(query, "port");
  if (endpoint.port.empty()) endpoint.port = usual_port;
  return endpoint;
}

}  // namespace sluice::config
