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
    // By the address of the file name: one comparison of words; another address of an equal name costs one more cache place.
    const std::size_t home = (reinterpret_cast<std::uintptr_t>(where.file_name()) + where.line()) % cache_.size();
    const Known& known = cache_[home];
    if (known.file == where.file_name() && known.line == where.line()) [[likely]]
      return known.number;
    return find_from(home, where);
  }

  // "file:line (function)" of a number; "" for 0.
  std::string text(std::uint32_t number) const;

 private:
  struct Known {
    const char* file = nullptr;
    std::uint32_t line = 0;
    std::uint32_t number = 0;
  };
  std::uint32_t find_from(std::size_t place, const boost::source_location& where) noexcept;
  std::uint32_t publish(const boost::source_location& where) noexcept;

  std::span<shm::CallSite> shared_;
  std::array<Known, 256> cache_{};
};

}  // namespace sluice::pool
