// The layout of the instance's shared segment: fixed at start, versioned, no pointers. Who writes what is part of the type.
// Everything is zero at first, and zero is a valid value everywhere. Statistics of a slot are never reset when a new life
// starts in it, so sums over the slots never go back; gauges are zeroed by the new life and by the master's sweep.
#pragma once

#include <sluice/shm/cell.hpp>
#include <sluice/shm/histogram.hpp>

#include <cstdint>

namespace sluice::shm {

inline constexpr std::uint64_t magic = 0x656369756c73'01ULL;
inline constexpr std::uint32_t layout_version = 5;

enum class InstanceState : std::uint32_t { starting, running, stopping, stopped };
constexpr const char* to_text(InstanceState s) noexcept {
  constexpr const char* names[] = {"starting", "running", "stopping", "stopped"};
  return names[static_cast<unsigned>(s) & 3];
}

// Slot states of the supervisor (design: empty → starting → ready → draining → exited → backoff → starting; failed).
enum class SlotState : std::uint32_t { empty, starting, ready, draining, exited, backoff, failed };
constexpr const char* to_text(SlotState s) noexcept {
  constexpr const char* names[] = {"empty", "starting", "ready", "draining", "exited", "backoff", "failed", "?"};
  return names[static_cast<unsigned>(s) & 7];
}

enum class ExitReason : std::uint32_t { none, done, error, signal, hang, boot_timeout, config, stopped };
inline constexpr unsigned exit_reasons = 8;
constexpr const char* to_text(ExitReason r) noexcept {
  constexpr const char* names[] = {"none", "done", "error", "signal", "hang", "boot_timeout", "config", "stopped"};
  return names[static_cast<unsigned>(r) & 7];
}

struct Header {  // written by the master before the first fork
  std::uint64_t magic;
  std::uint32_t layout_version;
  std::uint32_t max_workers;
  std::uint32_t servers;
  std::uint32_t pools;
  std::uint32_t kinds;
  std::uint32_t reserved;
  std::uint64_t size;
  std::uint64_t slots_at, published_at, servers_at, rows_at, limits_at, wants_at, pools_at, pool_stats_at, call_sites_at, statements_at;
  std::int64_t started_nanos;        // CLOCK_MONOTONIC
  std::int64_t started_unix_seconds;
  std::uint64_t boot_nonce;          // 32 bits used
  std::int32_t master_pid;
  std::int32_t usable_cpus;
  char instance[64];  // zero-terminated texts
  char application[64];
  char kind_names[16][32];
};

// One per slot.
struct alignas(64) Slot {
  // written by the master
  Cell state;       // SlotState
  Cell kind;        // index into Header::kind_names
  Cell generation;  // of the current or last life; first is 1
  Cell pid;         // of the process that hosts it; 0: none
  Cell restarts;    // lives after the first
  Cell started_nanos;
  Cell ready_nanos;
  Cell retry_at_nanos;  // in backoff: when the next life starts
  Cell last_exit;       // ExitReason
  Cell last_exit_status;  // exit code, or 128 + signal
  Cell exits[exit_reasons];
  // written by the worker
  alignas(64) Cell heartbeat_nanos;
  Cell tid;
  Cell alive_generation;      // the life that writes here; published once the heartbeat and tid above are its own
  Cell crashed_generation;    // the life whose thread was hit by a fatal signal
  Cell ready;                 // 1: start() has returned and pools are warm
  Cell heartbeat_max_gap_nanos;  // longest distance between two heartbeats of this life, minus the interval
  Cell requests;
  Cell request_errors;        // responses ≥ 500
  Cell requests_in_flight;    // gauge
  Cell client_connections;    // gauge
  Histogram request_seconds;
  Text<160> reason;  // why it is not ready, or the error that ended it
};

enum class ServerState : std::uint32_t { asking, ready, refused };  // asking: total auto unanswered, workers get nothing
constexpr const char* to_text(ServerState s) noexcept {
  constexpr const char* names[] = {"asking", "ready", "refused", "?"};
  return names[static_cast<unsigned>(s) & 3];
}

constexpr bool is_answer(std::uint64_t answered) noexcept { return (answered & 1) != 0; }
constexpr bool is_being_written(std::uint64_t answered) noexcept { return answered != 0 && !is_answer(answered); }

// One per server. Rows lie apart (rows_at), `capacity` of them; row 0 is the confirm permit if `confirm` is 1.
struct alignas(64) Server {
  // written by the master before the first fork
  char name[64];
  std::uint32_t first_row;  // index into the rows of all servers
  std::uint32_t capacity;
  std::uint32_t confirm;         // 0 or 1
  std::uint32_t local;           // 1: closing in the process is proof enough (SQLite); the master frees rows of ended lives itself
  std::uint32_t floor;
  std::uint32_t elastic;
  std::uint32_t max_connecting;
  std::uint32_t instances;
  std::uint32_t headroom_percent;
  std::uint32_t configured_total;  // 0: auto
  std::uint32_t via_proxy;
  std::uint32_t unclean_start;     // 1: rows started quarantined
  // written by the master
  alignas(64) Cell state;  // ServerState
  Cell total;              // permits for all instances together
  Cell budget;             // of this instance
  Cell wished_total;       // set while the instance runs (ctl budget set); 0: as configured
  Cell rows_in_use;        // every row behind is disabled
  Cell shrinking;          // 1: a lower budget waits for rows to come back: nobody borrows, what is above a limit is closed
  Text<400> arithmetic;    // how the budget came about, or why it is refused
  // written by the janitor
  alignas(64) Cell answered;   // number of the answer below: 0 none yet, odd known, even being written anew
  Cell max_connections;
  Cell reserved;
  Cell user_limit;             // smallest of the role's and database's limits; 0: none
  Cell authentication_timeout_ms;
  Cell ended_sessions;         // orphans ended
  Cell confirmed_rows;         // rows freed after confirmation
  Text<400> janitor_error;     // why it cannot ask; empty: it can
  Cell unaskable;              // 1: and that will not get better by itself (a pooler is in between, the password is wrong)
  // written by the workers
  alignas(64) std::atomic<std::uint64_t> want_epoch;  // goes up with every published want: a hint for those who may give
  alignas(64) std::atomic<std::uint64_t> outage;      // the governor's word (budget/governor.hpp); 0: the server answers
};

// One permit. The owner word is the truth; the payload describes it (see budget/permit_table.hpp).
struct alignas(64) Row {
  std::atomic<std::uint64_t> owner;
  std::atomic<std::uint64_t> session;        // the server's id of the session; 0: unknown
  std::atomic<std::uint64_t> session_birth;  // the server's start time of it, driver's unit; 0: unknown
  std::atomic<std::int64_t> changed_nanos;   // last change of the owner word's state
  std::atomic<std::uint32_t> call_site;      // 1 + index into the owner slot's call sites; 0: none
  std::atomic<std::uint32_t> cancel;         // not 0: the owner asks the janitor to end this session's statement; the janitor sets it back
};
static_assert(sizeof(Row) == 64);

struct PoolInfo {  // written by the master before the first fork
  char name[64];
  char scheme[16];
  std::uint32_t server;
  std::uint32_t max;  // 0: the limit
};

// One per slot and pool, written by the worker.
struct alignas(64) PoolStats {
  // gauges
  Cell idle, leased, connecting, closing, waiting, limit;
  Cell multiplexed;  // requests that run beyond one for each leased connection
  Cell reachable;  // 0 unknown, 1 the last connect or check succeeded, 2 it failed (see last_error)
  // totals
  Cell acquires, timeouts, queue_full, connects, connect_errors, lost, lent, borrowed, closes, leaks, deadlocks, cleared, statements, statement_errors;
  Histogram acquire_wait_seconds, use_seconds, create_seconds;
  Text<200> last_error;  // of the last failed connect; empty after a success
};

struct CallSite {  // written once by the worker, then published by `line` (release)
  char file[100];
  char function[60];
  std::atomic<std::uint32_t> line;
};
inline constexpr std::uint32_t call_sites_per_slot = 128;

// A statement that runs now, written by the worker. Free while started_nanos is 0; the text is complete before it is set.
struct alignas(64) RunningStatement {
  Cell started_nanos;
  Cell pool;     // its number in the segment
  Cell session;  // the server's id of the session; 0: unknown
  Text<240> text;  // without parameter values
};
inline constexpr std::uint32_t statements_per_slot = 32;

// Of the last rolling restart (supervise/rollout.hpp).
enum class RolloutState : std::uint32_t { none, running, done, stopped };
constexpr const char* to_text(RolloutState s) noexcept {
  constexpr const char* names[] = {"none", "running", "done", "stopped"};
  return names[static_cast<unsigned>(s) & 3];
}

// Sums that the master publishes each tick; they never go back while the instance lives.
struct alignas(64) Published {
  std::atomic<std::uint64_t> sequence;  // odd while being written
  Cell tick_nanos;
  Cell instance_state;     // InstanceState
  Cell config_generation;  // starts at 1
  Cell ticks;
  Cell requests, request_errors, restarts, exits, acquires, timeouts, connects, connect_errors, lost, statements, statement_errors;
  Cell workers_wanted, workers_ready;  // wanted: without the additional worker of a rolling restart
  Cell rollout, rollout_state, rollout_workers, rollout_replaced;  // its number, 0: there was none; RolloutState; of how many; so far
  Text<400> rollout_text;
};

}  // namespace sluice::shm
