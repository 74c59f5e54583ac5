// One pooled connection and where it is in its life:
//
//   connecting → idle ⇄ leased → (resetting) → idle        any → closing → gone
//                idle ⇄ checking                           any operation that never ends → abandoned
//
// A connect that clear() interrupts is closing until its driver has answered.
// Each owns one row of the permit table until it is gone (or abandoned: then the row is quarantined at once).
#pragma once

#include <sluice/core/clock.hpp>
#include <sluice/pool/connection.hpp>

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <list>
#include <memory>

namespace sluice::pool {

enum class EntryState : std::uint8_t { connecting, idle, checking, leased, resetting, closing, abandoned };
inline constexpr unsigned entry_states = 7;

// What runs on an entry now (a connect, ping, reset or close), so that the core can end it when it is overdue.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual void cancel() noexcept = 0;
};

struct PoolEntry : boost::intrusive::list_base_hook<> {  // hook of the idle list
  // First what the lease path touches.
  EntryState state = EntryState::connecting;
  bool overdue = false;  // its operation was cancelled and has one more chance to end
  bool late = false;     // counted as a failed connect, though it is still being taken back
  std::uint32_t row = 0;
  std::uint32_t generation = 0;
  std::uint32_t call_site = 0;
  TimePoint fresh_until{};  // while idle: until then it may be leased without a look
  TimePoint leased_at{};
  TimePoint expires_at = TimePoint::max();  // end of its lifetime, jitter included
  std::uint64_t uses = 0;
  std::unique_ptr<Connection> connection;  // null while connecting and while closing
  // Then the rest.
  std::uint64_t id = 0;
  TimePoint started_at{};
  TimePoint idle_since{};  // last return
  TimePoint alive_at{};    // last proof that it works: connect, return or ping
  TimePoint give_up_at = TimePoint::max();  // of the running operation
  TimePoint late_at = TimePoint::max();     // when a connect has failed for those who wait, even if its end is not proven yet
  std::shared_ptr<Operation> operation;
  std::list<PoolEntry>::iterator self;
};

}  // namespace sluice::pool
