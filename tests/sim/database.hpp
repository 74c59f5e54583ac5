// The simulated database server. It has what real ones have and what makes budgets hard to keep: sessions that exist before any
// view shows them, that outlive their client and their goodbye, ids that come back, resets, restarts, a network that is cut.
#pragma once

#include <sim/process.hpp>
#include <sim/random.hpp>
#include <sim/scenario.hpp>

#include <sluice/budget/confirmation.hpp>

#include <cstdint>
#include <vector>

namespace sluice::sim {

class World;

// Whose permit a session needs.
struct Tag {
  std::uint32_t instance = 0;
  std::uint64_t fleet = 0;  // the instance's boot nonce
  std::uint32_t row = 0;
  budget::Life life;
};

// travelling: the request is on its way. starting: it counts, and no view shows it.
enum class Stage : std::uint8_t { gone, travelling, starting, open, exiting };

class Database {
 public:
  using Handle = std::uint64_t;  // 0: none
  struct Seen {
    budget::Session session;
    Handle handle = 0;
  };

  Database(World& world, const ServerTraits& traits) : world_(world), traits_(traits) {}

  // ---- clients. Answers come as To::answer with the operation's number.

  Handle connect(ProcessId client, const Tag& tag, std::uint64_t operation);
  // Goodbye: then Answer::ended once it is gone (or ::reset, which proves nothing).
  void goodbye(Handle session, ProcessId client, std::uint64_t operation);
  // The client's socket is closed or shut down, whatever the session does now. With an operation: it waits for the end.
  void hang_up(Handle session, std::uint64_t operation = 0);
  void check(Handle session, std::uint64_t operation);
  void busy(Handle session, bool busy);
  void client_died(ProcessId client);
  std::uint64_t id(Handle session) const { return at(session).id; }
  std::uint64_t birth(Handle session) const { return at(session).birth; }
  bool open(Handle session) const { return stage(session) == Stage::open; }

  // ---- the janitor
  std::vector<Seen> view(std::uint32_t instance, std::uint64_t fleet, Handle asker) const;
  // Ends it if id and birth are still those.
  void terminate(const Seen& session);
  bool reachable() const { return !down_ && !cut_; }
  Duration authentication_timeout() const { return traits_.authentication_timeout; }

  // ---- what goes wrong
  void restart(Duration down_for);
  void cut(Duration length);
  void calm();
  bool stuck_operation();

  // ---- for the invariants
  std::uint32_t sessions() const noexcept { return sessions_; }
  std::uint32_t sessions_of(std::uint32_t instance) const;
  // Connects of workers under way whose row is `connecting`.
  std::uint32_t connecting(std::uint32_t instance) const;

  // Its own events.
  enum class Does : std::uint64_t { arrive, start, time_out, notice, leave, vanish, come_up, mend };
  void handle(Does does, Handle session);

 private:
  enum class Outcome : std::uint8_t { good, denied, hanging };
  struct Record {
    std::uint32_t serial = 0;
    Stage stage = Stage::gone;
    Outcome outcome = Outcome::good;
    bool client_gone = false, busy = false;
    std::uint64_t id = 0, birth = 0;
    TimePoint began{};
    Tag tag;
    ProcessId client;
    std::uint64_t operation = 0;  // of the client, that waits for an answer
  };
  const Record& at(Handle h) const { return records_[static_cast<std::uint32_t>(h)]; }
  Record* find(Handle h);
  Stage stage(Handle h) const;
  void later(Duration after, Does does, Handle h);
  void answer(Record& r, Answer what);
  void arrive(Handle h, Record& r);
  void exit(Handle h, Record& r);
  void remove(Handle h, Record& r);
  Duration network();

  World& world_;
  ServerTraits traits_;
  std::vector<Record> records_;
  std::vector<std::uint32_t> unused_;
  std::uint32_t last_serial_ = 0;
  std::uint64_t last_id_ = 0;
  std::uint32_t sessions_ = 0;
  bool down_ = false, cut_ = false;
  bool calm_ = false;  // nothing goes wrong any more
  TimePoint up_at_{}, mended_at_{};
};

}  // namespace sluice::sim
