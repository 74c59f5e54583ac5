// The cells that shared memory is made of: 64-bit atomics with one writer, and short texts.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace sluice::shm {

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// A number with one writer process-and-thread at a time; readers anywhere. Relaxed: values are independent of each other.
class Cell {
 public:
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }
  void set(std::uint64_t v) noexcept { value_.store(v, std::memory_order_relaxed); }
  // A plain load and store, no locked instruction: only the single writer may call it.
  void add(std::uint64_t n = 1) noexcept { set(get() + n); }
  void subtract(std::uint64_t n = 1) noexcept { set(get() - n); }
  void raise_to(std::uint64_t v) noexcept {
    if (v > get()) set(v);
  }
  // For a cell that says that others have been written before it.
  void publish(std::uint64_t v) noexcept { value_.store(v, std::memory_order_release); }
  std::uint64_t acquire() const noexcept { return value_.load(std::memory_order_acquire); }
  std::int64_t get_signed() const noexcept { return static_cast<std::int64_t>(get()); }
  void set_signed(std::int64_t v) noexcept { set(static_cast<std::uint64_t>(v)); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// A short text with one writer. A sequence number (odd while being written) lets readers detect a torn read.
template <std::size_t N>
class Text {
 public:
  void set(std::string_view s) noexcept {
    const std::size_t n = s.size() < N ? s.size() : N;
    const std::uint32_t sequence = sequence_.load(std::memory_order_relaxed) | 1u;
    sequence_.store(sequence, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    for (std::size_t i = 0; i < n; ++i) data_[i].store(s[i], std::memory_order_relaxed);
    length_.store(static_cast<std::uint32_t>(n), std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_release);
  }
  // "" if a writer died or keeps writing in the middle.
  std::string get() const {
    for (int attempt = 0; attempt < 100; ++attempt) {
      const std::uint32_t before = sequence_.load(std::memory_order_acquire);
      if (before & 1u) continue;
      std::string out;
      std::size_t n = length_.load(std::memory_order_relaxed);
      if (n > N) n = N;
      out.resize(n);
      for (std::size_t i = 0; i < n; ++i) out[i] = data_[i].load(std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (sequence_.load(std::memory_order_relaxed) == before) return out;
    }
    return {};
  }

 private:
  std::atomic<std::uint32_t> sequence_{0};
  std::atomic<std::uint32_t> length_{0};
  std::atomic<char> data_[N];
};

}  // namespace sluice::shm
