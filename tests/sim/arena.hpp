// The heap of one simulated process. Everything that code allocates while it runs as that process comes from here, so that a
// kill can drop it whole: no destructor runs, as none would after SIGKILL, and nothing leaks. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

namespace sluice::sim {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { clear(); }

  void* allocate(std::size_t bytes);
  // Gives all memory back, whatever is still in it.
  void clear() noexcept;

  static bool owns(const void* memory) noexcept;
  static void release(void* memory) noexcept;  // REQUIRES: owns(memory)

  // Where operator new takes memory from now; null: the ordinary heap.
  static inline Arena* current = nullptr;

 private:
  struct Chunk;
  struct Free {
    Free* next;
  };
  void* carve(std::size_t bytes);

  Chunk* chunks_ = nullptr;
  std::byte* next_ = nullptr;
  std::byte* end_ = nullptr;
  std::array<Free*, 40> free_{};  // by the power of two of the size
};

// While it lives, allocations are the simulator's own.
class Outside {
 public:
  Outside() noexcept : inside_(std::exchange(Arena::current, nullptr)) {}
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;
  ~Outside() { Arena::current = inside_; }

 private:
  Arena* inside_;
};

}  // namespace sluice::sim
