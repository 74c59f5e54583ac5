// The wait queue: first come, first served within a priority class, with a deadline each. Intrusive: queueing allocates nothing.
//
// A higher class goes first, but starves nobody: at most `most_overtakings` connections in a row pass the front of a lower class,
// one more where both lower classes are due. A waiter that collects several connections keeps its turn until it has them all, so
// two of them never hold what the other one needs.
#pragma once

#include <sluice/core/clock.hpp>
#include <sluice/pool/entry.hpp>
#include <sluice/shm/layout.hpp>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::pool {

enum class Priority : std::uint8_t { high, normal, low };
inline constexpr unsigned priorities = 3;
inline constexpr std::uint32_t most_overtakings = 8;

// What a waiter that wants several connections, all or none, has collected: leased to it already, the others are still to come.
using Gathered = boost::intrusive::list<PoolEntry>;
struct Several {
  std::uint16_t wants = 1;
  Gathered gathered;
};

// One caller that waits, as small as it can be: there may be many thousands. Owned by the caller; stays in the queue until it is served, refused or removed.
struct Waiter : boost::intrusive::list_base_hook<>, boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>> {
  TimePoint since{};
  TimePoint deadline = TimePoint::max();
  std::uint32_t task = 0;  // who waits; 0: unknown
  std::uint8_t call_site = 0;
  std::uint8_t held = 0;  // 1 + the call site where this very task took a connection that it holds; 0: none was found
  Priority priority = Priority::normal;
  bool shared = false;         // one request on a connection that carries several
  Several* several = nullptr;  // null: it wants one connection
  static_assert(shm::call_sites_per_slot < 255, "the number of a call site, and one more, fit in a byte");

  std::uint32_t wants() const noexcept { return several ? several->wants : 1; }
  std::uint32_t missing() const noexcept { return several ? several->wants - static_cast<std::uint32_t>(several->gathered.size()) : 1; }
  // In a queue. (Not by the list's hook: who is answered may use that one for its own lists.)
  bool waiting() const noexcept { return boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>>::is_linked(); }
};

class WaitQueue {
 public:
  ~WaitQueue() {
    while (!empty()) pop();
  }
  bool empty() const noexcept { return size_ == 0; }
  std::uint32_t size() const noexcept { return size_; }
  // Connections that would serve everybody, where each carries `capacity` shared requests.
  std::uint32_t demand(std::uint32_t capacity) const noexcept { return connections_ + (requests_ + capacity - 1) / capacity; }

  // Mostly all waiters have the same limit, so the newest has the latest deadline and the hint makes this constant.
  void push(Waiter& waiter) noexcept {
    of(waiter.priority).push_back(waiter);
    deadlines_.insert(deadlines_.end(), waiter);
    ++size_;
    count(waiter, 1);
  }
  void remove(Waiter& waiter) noexcept {
    if (collecting_ == &waiter) collecting_ = nullptr;
    count(waiter, -1);
    --size_;
    of(waiter.priority).erase(Order::s_iterator_to(waiter));
    deadlines_.erase(deadlines_.iterator_to(waiter));
  }
  // Whose turn it is. REQUIRES: !empty()
  Waiter& next() noexcept { return collecting_ ? *collecting_ : order_[turn()].front(); }
  // REQUIRES: !empty()
  Waiter& pop() noexcept {
    Waiter& waiter = next();
    if (!collecting_) overtake(static_cast<unsigned>(waiter.priority));
    remove(waiter);
    return waiter;
  }
  // Callers that so many more connections would leave waiting; one that wants several counts once for each.
  std::uint32_t left_by(std::uint32_t connections, std::uint32_t capacity) const noexcept {
    if (connections < connections_) return connections_ - connections + requests_;
    const std::uint64_t carried = std::uint64_t{connections - connections_} * capacity;
    return carried < requests_ ? static_cast<std::uint32_t>(requests_ - carried) : 0;
  }
  // Who came last of the lowest class. REQUIRES: !empty()
  Waiter& last() noexcept {
    unsigned p = priorities - 1;
    while (order_[p].empty()) --p;
    return order_[p].back();
  }
  template <class Visit>
  void for_each(Visit visit) {
    for (Order& order : order_)
      for (Waiter& waiter : order) visit(waiter);
  }
  // One more of several for the one whose turn it is; true: it has them all, and has left the queue.
  bool collect(Waiter& waiter, PoolEntry& entry) noexcept {
    if (!collecting_) overtake(static_cast<unsigned>(waiter.priority));
    collecting_ = &waiter;
    waiter.several->gathered.push_back(entry);
    --connections_;
    if (waiter.missing() > 0) return false;
    remove(waiter);
    return true;
  }

  // Since when the one waits that has waited longest. REQUIRES: !empty()
  TimePoint waiting_since() const noexcept {
    TimePoint since = TimePoint::max();
    for (const Order& order : order_)
      if (!order.empty()) since = std::min(since, order.front().since);
    return since;
  }
  TimePoint next_deadline() const noexcept { return deadlines_.empty() ? TimePoint::max() : deadlines_.begin()->deadline; }
  // Removes and returns one whose deadline has passed, the earliest first; null if there is none.
  Waiter* pop_expired(TimePoint now) noexcept {
    if (deadlines_.empty() || deadlines_.begin()->deadline > now) return nullptr;
    Waiter& waiter = *deadlines_.begin();
    remove(waiter);
    return &waiter;
  }

 private:
  using Order = boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>>;
  struct ByDeadline {
    bool operator()(const Waiter& a, const Waiter& b) const noexcept { return a.deadline < b.deadline; }
  };

  Order& of(Priority p) noexcept { return order_[static_cast<unsigned>(p)]; }
  void count(const Waiter& waiter, int sign) noexcept {
    const auto n = static_cast<std::uint32_t>(sign);
    if (waiter.shared)
      requests_ += n;
    else
      connections_ += n * waiter.missing();
  }
  unsigned turn() const noexcept {
    for (unsigned p = priorities - 1; p > 0; --p) {
      if (!order_[p].empty() && overtaken_[p] >= most_overtakings) return p;
    }
    unsigned p = 0;
    while (order_[p].empty()) ++p;
    return p;
  }
  void overtake(unsigned served) noexcept {
    overtaken_[served] = 0;
    for (unsigned p = 1; p < priorities; ++p) {
      if (p != served) overtaken_[p] = order_[p].empty() ? 0 : overtaken_[p] + 1;
    }
  }

  std::array<Order, priorities> order_;
  boost::intrusive::multiset<Waiter, boost::intrusive::compare<ByDeadline>> deadlines_;
  Waiter* collecting_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t connections_ = 0;  // that exclusive waiters still want
  std::uint32_t requests_ = 0;     // shared waiters
  std::array<std::uint32_t, priorities> overtaken_{};
};

}  // namespace sluice::pool
