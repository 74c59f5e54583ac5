// A blocking HTTP/1.1 client for tools (ctl) over TCP or a Unix socket. One request, one connection.
#pragma once

#include <sluice/core/clock.hpp>
#include <sluice/http/message.hpp>

#include <string>

namespace sluice::http {

// `address`: "host:port" or "unix:/path". Throws ExitError(unavailable) if nobody listens, TimedOut, sluice::Error on garbage.
Response fetch(const std::string& address, const std::string& method, const std::string& target, const std::string& body, Duration timeout,
               const Headers& headers = {});

}  // namespace sluice::http
