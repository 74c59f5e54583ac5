// What the traced child does with its life: two workers of a fleet on one loop and one server of two permits, of which the first
// claims, connects, leases, queries, returns, borrows and lends, and the second is granted what the first lends. All by the
// real pools and the real driver.
#pragma once

#include <sluice/shm/segment.hpp>

#include <cstdint>
#include <string>

namespace stepkill {

inline constexpr const char* instance = "stepkill";

// A segment for one life: server 0 with two rows, slots 0 and 1 of limit 1 each and floor 0.
sluice::shm::Segment make_segment();

// Returns when the story is over and every connection is closed. Throws if it does not go as told.
void live(const sluice::shm::Segment& segment, const std::string& url, std::uint64_t generation);

}  // namespace stepkill
