// What a pool shows of each of its connections.
#pragma once

#include <sluice/core/clock.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::pool {

struct ConnectionView {
  std::uint64_t id = 0;        // within the pool, from 1
  std::string server;          // the server's name in the configuration
  std::string_view state;      // connecting, idle, checking, leased, shared, resetting, closing, detached, abandoned
  std::uint32_t in_flight = 0; // requests that run on it, or 1 for an exclusive lease
  TimePoint created{};
  TimePoint last_used{};       // leased: when the lease began; else its last return
  std::uint64_t uses = 0;
  std::uint64_t session = 0;   // the server's own id; 0: unknown
  std::string call_site;       // of the lease, "file:line (function)"; "" if not leased or unknown
};

}  // namespace sluice::pool
