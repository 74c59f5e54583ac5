#include <sluice/http/address.hpp>

#include <sluice/core/text.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <netinet/in.h>
#include <sys/un.h>

namespace sluice::http {

std::optional<Address> parse_address(std::string_view text) {
  if (text.starts_with("unix:")) {
    text.remove_prefix(5);
    if (text.empty() || text.size() >= sizeof(sockaddr_un::sun_path)) return std::nullopt;
    return Address{true, std::string(text), {}};
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  else if (host.find_first_of("[]:") != std::string_view::npos) return std::nullopt;  // a bare v6 address is ambiguous
  unsigned number = 0;
  const auto result = std::from_chars(port.data(), port.data() + port.size(), number);
  if (result.ec != std::errc{} || result.ptr != port.data() + port.size() || number > 65535) return std::nullopt;
  return Address{false, host == "*" ? std::string() : std::string(host), std::string(port)};
}

std::string display(const sockaddr_storage& address, socklen_t size) {
  char host[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    ::inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
    return text(host, ":", ntohs(v4.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
    return text("[", host, "]:", ntohs(v6.sin6_port));
  }
  sockaddr_un local{};
  std::memcpy(&local, &address, std::min<std::size_t>(size, sizeof local));
  if (size <= offsetof(sockaddr_un, sun_path) || local.sun_path[0] == '\0') return "unix";
  return text("unix:", std::string_view(local.sun_path, ::strnlen(local.sun_path, sizeof local.sun_path)));
}

}  // namespace sluice::http
