#include <sluice/shm/segment.hpp>

#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace sluice::shm {
namespace {

std::byte* map(int file, std::size_t size, bool writable) {
  void* base = ::mmap(nullptr, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file, 0);
  if (base == MAP_FAILED) throw_errno("mmap of the shared segment");
  return static_cast<std::byte*>(base);
}

template <std::size_t N>
void copy_text(char (&to)[N], std::string_view from) {
  const std::size_t n = std::min(from.size(), N - 1);
  std::memcpy(to, from.data(), n);
  to[n] = 0;
}

}  // namespace

Segment Segment::create(const Shape& shape) {
  Header h = {};
  h.magic = magic;
  h.layout_version = layout_version;
  h.max_workers = shape.max_workers;
  h.servers = static_cast<std::uint32_t>(shape.servers.size());
  h.pools = static_cast<std::uint32_t>(shape.pools.size());
  h.kinds = static_cast<std::uint32_t>(std::min<std::size_t>(shape.kinds.size(), 16));
  copy_text(h.instance, shape.instance);
  copy_text(h.application, shape.application);
  for (std::uint32_t i = 0; i < h.kinds; ++i) copy_text(h.kind_names[i], shape.kinds[i]);

  std::uint64_t rows = 0;
  for (const auto& s : shape.servers) rows += s.capacity;
  std::uint64_t end = sizeof(Header);
  const auto reserve = [&end](std::uint64_t bytes) {
    const std::uint64_t begin = (end + 63) / 64 * 64;
    end = begin + bytes;
    return begin;
  };
  h.published_at = reserve(sizeof(Published));
  h.slots_at = reserve(sizeof(Slot) * h.max_workers);
  h.servers_at = reserve(sizeof(Server) * h.servers);
  h.limits_at = reserve(sizeof(std::atomic<std::uint32_t>) * h.max_workers * h.servers);
  h.wants_at = reserve(sizeof(std::atomic<std::uint64_t>) * h.max_workers * h.servers);
  h.pools_at = reserve(sizeof(PoolInfo) * h.pools);
  h.rows_at = reserve(sizeof(Row) * rows);
  h.pool_stats_at = reserve(sizeof(PoolStats) * h.pools * h.max_workers);
  h.call_sites_at = reserve(sizeof(CallSite) * call_sites_per_slot * h.max_workers);
  h.statements_at = reserve(sizeof(RunningStatement) * statements_per_slot * h.max_workers);
  h.size = (end + 4095) / 4096 * 4096;

  Descriptor file(::memfd_create("sluice", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) throw_errno("memfd_create");
  if (::ftruncate(file.get(), static_cast<off_t>(h.size)) != 0) throw_errno("ftruncate of the shared segment");
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) throw_errno("fcntl(F_ADD_SEALS)");
  std::byte* base = map(file.get(), h.size, true);
  Segment segment(std::move(file), base, h.size);
  segment.header() = h;  // the rest is zero, which every block takes as its empty state
  std::uint32_t first_row = 0;
  for (std::uint32_t i = 0; i < h.servers; ++i) {
    Server& s = segment.servers()[i];
    copy_text(s.name, shape.servers[i].name);
    s.first_row = first_row;
    s.capacity = shape.servers[i].capacity;
    first_row += s.capacity;
  }
  for (std::uint32_t i = 0; i < h.pools; ++i) {
    PoolInfo& p = segment.pools()[i];
    copy_text(p.name, shape.pools[i].name);
    copy_text(p.scheme, shape.pools[i].scheme);
    p.server = shape.pools[i].server;
    p.max = shape.pools[i].max;
  }
  return segment;
}

Segment Segment::open(Descriptor file, bool writable) {
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) throw_errno("fstat of the shared segment");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size < sizeof(Header)) throw Error("the shared segment is too small to be one");
  Segment segment(std::move(file), nullptr, size);
  segment.base_ = map(segment.file(), size, writable);
  const Header& h = segment.header();
  if (h.magic != magic || h.size != size) throw Error("the descriptor is not a shared segment of this framework");
  if (h.layout_version != layout_version)
    throw Error(text("the shared segment has layout version ", h.layout_version, ", this program knows ", layout_version));
  return segment;
}

Segment::Segment(Segment&& other) noexcept
    : file_(std::move(other.file_)), base_(std::exchange(other.base_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Segment& Segment::operator=(Segment&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(base_, other.base_);
  std::swap(size_, other.size_);
  return *this;
}

Segment::~Segment() {
  if (base_) ::munmap(base_, size_);
}

void Segment::make_read_only() {
  if (::mprotect(base_, size_, PROT_READ) != 0) throw_errno("mprotect of the shared segment");
}

}  // namespace sluice::shm
