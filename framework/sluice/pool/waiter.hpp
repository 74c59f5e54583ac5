// The wait queue: first come, first served, with a deadline each. Intrusive: queueing allocates nothing.
#pragma once

#include <sluice/core/clock.hpp>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <cstdint>

namespace sluice::pool {

// One caller that waits. Owned by the caller; stays in the queue until it is served, refused or removed.
struct Waiter : boost::intrusive::list_base_hook<>, boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>> {
  TimePoint since{};
  TimePoint deadline = TimePoint::max();
  std::uint32_t call_site = 0;
};

class WaitQueue {
 public:
  ~WaitQueue() {
    while (!empty()) pop();
  }
  bool empty() const noexcept { return order_.empty(); }
  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(order_.size()); }
  Waiter& front() noexcept { return order_.front(); }

  // Mostly all waiters have the same limit, so the newest has the latest deadline and the hint makes this constant.
  void push(Waiter& waiter) noexcept {
    order_.push_back(waiter);
    deadlines_.insert(deadlines_.end(), waiter);
  }
  void remove(Waiter& waiter) noexcept {
    order_.erase(order_.iterator_to(waiter));
    deadlines_.erase(deadlines_.iterator_to(waiter));
  }
  // REQUIRES: !empty()
  Waiter& pop() noexcept {
    Waiter& waiter = order_.front();
    remove(waiter);
    return waiter;
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
  struct ByDeadline {
    bool operator()(const Waiter& a, const Waiter& b) const noexcept { return a.deadline < b.deadline; }
  };
  boost::intrusive::list<Waiter> order_;
  boost::intrusive::multiset<Waiter, boost::intrusive::compare<ByDeadline>> deadlines_;
};

}  // namespace sluice::pool
