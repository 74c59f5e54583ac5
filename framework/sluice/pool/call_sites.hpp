// Where leases were taken: source locations numbered in shared memory, so that a lease records four bytes and anybody can
// read them after its owner was killed. One loop's own; all pools of a slot write to the slot's table.
#pragma once

#include <sluice/shm/layout.hpp>

#include <boost/assert/source_location.hpp>
#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace sluice::pool {

class CallSites {
 public:
  explicit CallSites(std::span<shm::CallSite> shared) noexcept : shared_(shared) {}

  // 1 + index in the shared table; 0 if there is none or it is full.
  std::uint32_t find(const boost::source_location& where) noexcept {
    if (shared_.empty()) return 0;
    // By the address of the file name: one comparison of words; another address of an equal name costs one more cache place.
    const auto address = reinterpret_cast<std::uintptr_t>(where.file_name());
    std::size_t place = (address ^ (address >> 7) ^ where.line() * std::size_t{0x9e37'79b1}) % cache_.size();
    for (unsigned probes = 0; probes < 8; ++probes, place = (place + 1) % cache_.size()) {
      Known& known = cache_[place];
      if (known.file == where.file_name() && known.line == where.line()) return known.number;
      if (!known.file) {
        known = Known{where.file_name(), where.line(), publish(where)};
        return known.number;
      }
    }
    return 0;
  }

  // "file:line (function)" of a number; "" for 0.
  std::string text(std::uint32_t number) const;

 private:
  struct Known {
    const char* file = nullptr;
    std::uint32_t line = 0;
    std::uint32_t number = 0;
  };
  std::uint32_t publish(const boost::source_location& where) noexcept;

  std::span<shm::CallSite> shared_;
  std::array<Known, 256> cache_{};
};

}  // namespace sluice::pool
