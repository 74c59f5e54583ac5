// Addresses as options spell them: "host:port", "[v6]:port", ":port" (every interface), "unix:/path".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace sluice::http {

struct Address {
  bool is_unix = false;
  std::string host;  // empty: every interface; of a Unix socket: its path
  std::string port;
};

// Nothing: none of the forms above, a port outside 0…65535, or a path that is empty or too long for the kernel.
std::optional<Address> parse_address(std::string_view text);

// "127.0.0.1:8080", "[::1]:8080", "unix:/path", or "unix" for a socket without a name.
std::string display(const sockaddr_storage& address, socklen_t size);

}  // namespace sluice::http
