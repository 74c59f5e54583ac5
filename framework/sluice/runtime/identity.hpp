// The name under which a life is known to servers.
#pragma once

#include <sluice/pool/registry.hpp>
#include <sluice/shm/segment.hpp>

namespace sluice::runtime {

pool::Identity identity_of(const shm::Segment& segment, std::uint32_t slot, std::uint64_t generation);

}  // namespace sluice::runtime
