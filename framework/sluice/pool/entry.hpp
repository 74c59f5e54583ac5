// One pooled connection and where it is in its life:
//
//   connecting → idle ⇄ leased → (resetting) → idle        any → closing → gone
//                idle ⇄ shared                             any operation that never ends → abandoned
//                idle ⇄ checking                           leased → detached → closing
//
// Shared: it carries requests of several callers. Detached: it left the pool with its holder. Abandoned, too, is what a leaked
// lease still points to when its connection was taken away.
// A connect that clear() interrupts is closing until its driver has answered.
// Each owns one row of the permit table until it is gone (or abandoned: then the row is quarantined at once).
#pragma once

#include <sluice/budget/permit_table.hpp>
#include <sluice/core/clock.hpp>
#include <sluice/pool/connection.hpp>

#include <boost/intrusive/list.hpp>
#include <algorithm>
#include <cstdint>
#include <list>
#include <memory>

namespace sluice::pool {

class PoolShell;

enum class EntryState : std::uint8_t { connecting, idle, checking, leased, shared, resetting, closing, detached, abandoned };
inline constexpr unsigned entry_states = 9;
constexpr const char* to_text(EntryState s) noexcept {
  constexpr const char* names[] = {"connecting", "idle", "checking", "leased", "shared", "resetting", "closing", "detached", "abandoned"};
  return names[static_cast<unsigned>(s)];
}

// What runs on an entry now (a connect, ping, reset or close), so that the core can end it when it is overdue.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual void cancel() noexcept = 0;
};

struct PoolEntry : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {  // in at most one list: idle, stale, shared, or a waiter's
  // First what the lease path touches.
  EntryState state = EntryState::connecting;
  bool overdue = false;  // its operation was cancelled and has one more chance to end
  bool late = false;     // counted as a failed connect, though it is still being taken back
  bool retired = false;  // takes no further request; closed when the last one ends
  std::uint32_t row = 0;
  std::uint32_t generation = 0;
  std::uint32_t call_site = 0;
  TimePoint fresh_until{};  // while idle: until then it may be leased without a look
  TimePoint leased_at{};
  TimePoint idle_since{};                   // last return
  TimePoint expires_at = TimePoint::max();  // end of its lifetime, jitter included
  std::uint64_t uses = 0;
  std::unique_ptr<Connection> connection;  // null while connecting and while closing
  PoolShell* shell = nullptr;              // for whoever holds it; set by the shell
  std::uint32_t task = 0;                  // who holds it; 0: unknown
  // Then the rest.
  std::uint32_t in_flight = 0;  // requests, while shared
  std::uint64_t id = 0;
  TimePoint leak_told{};        // since when what was told as a suspected leak had been held
  // Of a shared one, as the search for leaks saw it last.
  TimePoint seen_at{};
  std::uint64_t seen_uses = 0;
  std::uint32_t seen_in_flight = 0;
  budget::Life promised;  // who gets its permit when it is closed; generation 0: nobody
  TimePoint started_at{};
  TimePoint checked_at{};  // last connect or ping
  TimePoint give_up_at = TimePoint::max();  // of the running operation
  TimePoint late_at = TimePoint::max();     // when a connect has failed for those who wait, even if its end is not proven yet
  std::shared_ptr<Operation> operation;
  std::list<PoolEntry>::iterator self;

  // The last proof that it works: connect, return or ping.
  TimePoint alive_at() const noexcept { return std::max(checked_at, idle_since); }
};

}  // namespace sluice::pool
