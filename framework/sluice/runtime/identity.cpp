#include <sluice/runtime/identity.hpp>

#include <cstdio>

namespace sluice::runtime {

pool::Identity identity_of(const shm::Segment& segment, std::uint32_t slot, std::uint64_t generation) {
  char nonce[9];
  std::snprintf(nonce, sizeof nonce, "%08x", static_cast<unsigned>(segment.header().boot_nonce));
  pool::Identity identity;
  identity.instance = segment.instance();
  identity.nonce = nonce;
  identity.slot = slot;
  identity.generation = generation;
  return identity;
}

}  // namespace sluice::runtime
