// The instance's shared memory: an anonymous memory file, sealed against resizing, created by the master before the first
// fork. Children inherit the mapping; the admin process replaces its own by a read-only one. Nothing is left behind on exit.
#pragma once

#include <sluice/core/descriptor.hpp>
#include <sluice/shm/layout.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::shm {

// What decides the segment's size; fixed at start.
struct ServerShape {
  std::string name;
  std::uint32_t capacity = 1024;  // rows
};
struct PoolShape {
  std::string name;
  std::string scheme;
  std::uint32_t server = 0;
  std::uint32_t max = 0;
};
struct Shape {
  std::string instance;
  std::string application;
  std::uint32_t max_workers = 64;
  std::vector<std::string> kinds;      // at most 16
  std::vector<ServerShape> servers;
  std::vector<PoolShape> pools;
};

class Segment {
 public:
  // Throws std::system_error. Rows start `disabled`.
  static Segment create(const Shape& shape);
  // Maps an existing one, e.g. read-only. Throws sluice::Error if it is not a segment of this layout version.
  static Segment open(Descriptor file, bool writable);

  Segment(Segment&& other) noexcept;
  Segment& operator=(Segment&& other) noexcept;
  ~Segment();

  int file() const noexcept { return file_.get(); }
  // Replaces the mapping by a read-only one. Writing through it afterwards is a segmentation fault.
  void make_read_only();

  Header& header() const noexcept { return *reinterpret_cast<Header*>(base_); }
  Published& published() const noexcept { return at<Published>(header().published_at)[0]; }
  std::span<Slot> slots() const noexcept { return {at<Slot>(header().slots_at), header().max_workers}; }
  std::span<Server> servers() const noexcept { return {at<Server>(header().servers_at), header().servers}; }
  std::span<PoolInfo> pools() const noexcept { return {at<PoolInfo>(header().pools_at), header().pools}; }
  std::span<Row> rows(std::uint32_t server) const noexcept {
    const Server& s = servers()[server];
    return {at<Row>(header().rows_at) + s.first_row, s.capacity};
  }
  // The part of each slot: limits(server)[slot], written by the master.
  std::span<std::atomic<std::uint32_t>> limits(std::uint32_t server) const noexcept {
    return {at<std::atomic<std::uint32_t>>(header().limits_at) + std::size_t{server} * header().max_workers, header().max_workers};
  }
  // How many permits each slot's life wants: wants(server)[slot], written as budget/lending.hpp says.
  std::span<std::atomic<std::uint64_t>> wants(std::uint32_t server) const noexcept {
    return {at<std::atomic<std::uint64_t>>(header().wants_at) + std::size_t{server} * header().max_workers, header().max_workers};
  }
  PoolStats& pool_stats(std::uint32_t slot, std::uint32_t pool) const noexcept {
    return at<PoolStats>(header().pool_stats_at)[std::size_t{slot} * header().pools + pool];
  }
  std::span<CallSite> call_sites(std::uint32_t slot) const noexcept {
    return {at<CallSite>(header().call_sites_at) + std::size_t{slot} * call_sites_per_slot, call_sites_per_slot};
  }
  std::span<RunningStatement> statements(std::uint32_t slot) const noexcept {
    return {at<RunningStatement>(header().statements_at) + std::size_t{slot} * statements_per_slot, statements_per_slot};
  }
  std::string_view instance() const noexcept { return header().instance; }
  std::string_view kind_name(std::uint64_t kind) const noexcept { return kind < header().kinds ? header().kind_names[kind] : "?"; }

 private:
  Segment(Descriptor file, std::byte* base, std::size_t size) : file_(std::move(file)), base_(base), size_(size) {}
  template <class T>
  T* at(std::uint64_t offset) const noexcept {
    return reinterpret_cast<T*>(base_ + offset);
  }

  Descriptor file_;
  std::byte* base_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sluice::shm
