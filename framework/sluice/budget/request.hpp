// What allocation.hpp needs to know of a server, read from shared memory. Any process that maps the segment.
#pragma once

#include <sluice/budget/allocation.hpp>
#include <sluice/shm/layout.hpp>

namespace sluice::budget {

// The server's configuration (or what was wished while running) and, once it is known, its answer.
inline Request request_of(const shm::Server& server, std::uint32_t workers) {
  Request r;
  r.server = server.name;
  const auto wished = static_cast<std::uint32_t>(server.wished_total.get());
  r.configured_total = wished != 0 ? wished : server.configured_total;
  r.headroom_percent = server.headroom_percent;
  r.instances = server.instances;
  r.floor = server.floor;
  r.confirm = server.confirm;
  r.capacity = server.capacity;
  r.workers = workers;
  if (server.answered.acquire() != 0) {
    r.answer = Answer{static_cast<std::uint32_t>(server.max_connections.get()), static_cast<std::uint32_t>(server.reserved.get()),
                      static_cast<std::uint32_t>(server.user_limit.get())};
  }
  return r;
}

// Is enough known to decide?
inline bool can_decide(const Request& request) noexcept { return request.configured_total != 0 || request.answer.has_value(); }

}  // namespace sluice::budget
