#include <sim/arena.hpp>

#include <sys/mman.h>

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace sluice::sim {
namespace {

constexpr std::size_t chunk_bytes = 8192;                  // every chunk begins at a multiple of this
constexpr std::size_t region_bytes = std::size_t{1} << 36;  // reserved, not used
constexpr std::size_t alignment = 16;

// All arenas cut their chunks from one reserved piece of the address space, so that a pointer tells whose it is.
struct Region {
  std::byte* base = nullptr;
  std::size_t used = 0;
  std::array<void*, 40> free{};  // given back, by the power of two of the size

  void* take(unsigned order) {
    if (void* memory = free[order]) {
      free[order] = *static_cast<void**>(memory);
      return memory;
    }
    if (!base) {
      void* memory = ::mmap(nullptr, region_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (memory == MAP_FAILED) throw std::bad_alloc();
      base = static_cast<std::byte*>(memory);
      used = chunk_bytes - reinterpret_cast<std::uintptr_t>(base) % chunk_bytes;
    }
    const std::size_t bytes = std::size_t{1} << order;
    if (used + bytes > region_bytes) throw std::bad_alloc();
    return base + std::exchange(used, used + bytes);
  }
  void give(void* memory, unsigned order) noexcept {
    *static_cast<void**>(memory) = free[order];
    free[order] = memory;
  }
} region;

struct Header {  // before each piece of memory
  unsigned order;
};
static_assert(sizeof(Header) <= alignment);

unsigned order_of(std::size_t bytes) noexcept { return static_cast<unsigned>(std::bit_width(bytes - 1)); }

}  // namespace

struct alignas(alignment) Arena::Chunk {
  Arena* owner;
  Chunk* next;
  unsigned order;
};

void* Arena::allocate(std::size_t bytes) {
  const unsigned order = order_of(std::max(bytes + alignment, std::size_t{32}));
  if (Free* piece = free_[order]) {
    free_[order] = piece->next;
    return piece;
  }
  std::byte* piece = static_cast<std::byte*>(carve(std::size_t{1} << order));
  reinterpret_cast<Header*>(piece)->order = order;
  return piece + alignment;
}

void* Arena::carve(std::size_t bytes) {
  if (static_cast<std::size_t>(end_ - next_) < bytes) {
    const unsigned order = std::max(order_of(bytes + sizeof(Chunk)), order_of(chunk_bytes));
    auto* chunk = static_cast<Chunk*>(region.take(order));
    *chunk = Chunk{this, chunks_, order};
    chunks_ = chunk;
    std::byte* begin = reinterpret_cast<std::byte*>(chunk) + sizeof(Chunk);
    if (order > order_of(chunk_bytes)) return begin;  // a large piece fills its chunk
    next_ = begin;
    end_ = reinterpret_cast<std::byte*>(chunk) + chunk_bytes;
  }
  return std::exchange(next_, next_ + bytes);
}

void Arena::clear() noexcept {
  while (chunks_) {
    Chunk* chunk = chunks_;
    chunks_ = chunk->next;
    region.give(chunk, chunk->order);
  }
  next_ = end_ = nullptr;
  free_.fill(nullptr);
}

bool Arena::owns(const void* memory) noexcept {
  const auto* p = static_cast<const std::byte*>(memory);
  return region.base && p >= region.base && p < region.base + region_bytes;
}

void Arena::release(void* memory) noexcept {
  auto* piece = static_cast<Free*>(memory);
  const unsigned order = reinterpret_cast<Header*>(static_cast<std::byte*>(memory) - alignment)->order;
  // A small piece lies in a chunk, a large one at its beginning: the chunk's head is at the last multiple of the chunk's size.
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(memory);
  Arena* owner = reinterpret_cast<Chunk*>(address - address % chunk_bytes)->owner;
  piece->next = owner->free_[order];
  owner->free_[order] = piece;
}

}  // namespace sluice::sim

// ---- every allocation of this program

void* operator new(std::size_t bytes) {
  using sluice::sim::Arena;
  if (Arena::current) return Arena::current->allocate(bytes);
  if (void* memory = std::malloc(bytes ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void operator delete(void* memory) noexcept {
  if (sluice::sim::Arena::owns(memory))
    sluice::sim::Arena::release(memory);
  else
    std::free(memory);
}
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory, std::size_t) noexcept { operator delete(memory); }
