// Sees every statement of a pool from its start to its end: counts it, shows it to `ctl statements` while it runs, and logs it
// afterwards if it took long. Parameter values are shown nowhere unless `log_parameters` asks for them, in the slow-statement log and errors.
// One loop's own.
#pragma once

#include <sluice/core/clock.hpp>
#include <sluice/shm/layout.hpp>
#include <sluice/sql/known_texts.hpp>
#include <sluice/sql/session.hpp>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sql {

// What a watch writes to; it must outlive the loop. A null block counts nothing, no entries show nothing.
struct StatementBoard {
  StatementBoard() = default;
  StatementBoard(shm::PoolStats* s, std::span<shm::RunningStatement> r = {}, std::uint32_t p = 0) : stats(s), running(r), pool(p) {}
  shm::PoolStats* stats = nullptr;
  std::span<shm::RunningStatement> running;  // the slot's, shared by all its pools
  std::uint32_t pool = 0;                    // its number in the segment
};

class StatementWatch {
 public:
  // Statements at least `slow` long are logged; 0: none.
  StatementWatch(std::string pool, StatementBoard board, Duration slow, bool log_parameters);

  // One statement, from its construction to its end. An error unless told of its success. Movable; must not outlive the watch.
  class Running {
   public:
    // `parameters`: for the log, if they are asked for. Only the texts are kept.
    Running(StatementWatch& watch, std::string_view sql, const std::vector<Value>* parameters = nullptr);
    // Nothing of the statement is kept: its text outlives this.
    Running(StatementWatch& watch, const KnownText& known, const std::vector<Value>* parameters);
    Running(Running&& other) noexcept;
    Running& operator=(Running&&) = delete;
    ~Running();
    // It is with the server now: from here on it is shown, and its time counts. Again, if it begins anew.
    void on(const Session& session, TimePoint now = Clock::now()) noexcept;
    // `at`: when that was, where it is known.
    void succeeded(TimePoint at = {}) noexcept {
      succeeded_ = true;
      ended_ = at;
    }

   private:
    struct Texts {
      std::string sql, parameters;
    };
    void keep_parameters(const std::vector<Value>* parameters);

    StatementWatch* watch_;
    std::unique_ptr<Texts> own_;  // most need none
    std::string_view sql_;        // of `own_`, or what outlives this
    shm::RunningStatement* entry_ = nullptr;
    TimePoint started_{};
    TimePoint ended_{};  // unknown: with this object
    bool succeeded_ = false;
  };

 private:
  shm::RunningStatement* show(std::string_view sql, std::uint64_t session, TimePoint started) noexcept;
  void hide(shm::RunningStatement& entry) noexcept;
  void log_slow(std::string_view sql, const std::string& parameters, Duration took, bool succeeded) const;

  std::string pool_;
  StatementBoard board_;
  Duration slow_;
  bool log_parameters_;
  std::vector<std::string> written_;  // the text that each entry holds: most statements find theirs there already
  std::size_t look_first_ = 0;        // the entry that became free last, or the one after the one taken last
  TimePoint full_until_{};            // none was free: until then, or until one of ours is, nobody looks
};

// "$1=7, $2='Ada'", each value cut to 64 characters.
std::string describe_parameters(const std::vector<Value>& parameters);

}  // namespace sluice::sql
