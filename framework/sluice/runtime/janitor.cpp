#include <sluice/runtime/janitor.hpp>

#include <sluice/budget/confirmation.hpp>
#include <sluice/budget/share.hpp>
#include <sluice/core/asio.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/pool/registry.hpp>
#include <sluice/pool/statement_cancel.hpp>
#include <sluice/runtime/channel.hpp>
#include <sluice/runtime/identity.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <utility>

namespace sluice::runtime {
namespace {

constexpr Duration ask_timeout = 5s;
constexpr Duration look_again = 50ms;   // while rows wait for their session to disappear
constexpr Duration look_soon = 5ms;     // while they do disappear: on MySQL every close waits for this look
constexpr Duration idle_before_end = 1s;
constexpr Duration own_predecessor_grace = 2s;  // a killed janitor's session notices its client's death within 500 ms

// One server's attendant: a coroutine that lives as long as the janitor.
class Attendant {
 public:
  Attendant(asio::io_context& loop, const JanitorInputs& inputs, std::uint32_t server, const config::Pool& pool, const pool::Driver& driver)
      : timer_(loop), in_(inputs), server_(server), options_(pool), driver_(driver),
        share_(in_.segment->rows(server).first(1), 0, budget::Life{budget::janitor_slot, in_.generation}, nullptr) {}

  bool idle() const noexcept { return idle_; }
  bool closed() const noexcept { return closed_; }
  void ask_to_end() {
    ending_ = true;
    timer_.cancel();
  }

  awaitable<void> attend() {
    Duration backoff = 100ms;
    while (!ending_) {
      if (!needed()) {
        forget_problem();
        co_await disconnect_when_unneeded();
        continue;
      }
      idle_ = false;
      std::string problem;
      bool looked = false, permanent = false;
      try {
        looked = co_await look();
        backoff = 100ms;
      } catch (const pool::ConnectFailed& e) {
        problem = e.what();
        permanent = e.permanent();
      } catch (const std::exception& e) {
        problem = e.what();
      }
      if (!problem.empty()) {
        if (const std::size_t at = problem.find("servers.<name>"); at != std::string::npos) problem.replace(at, 14, text("servers.", server().name));
        if (problem != last_problem_) log::warning(text("server '", server().name, "': cannot ask: ", problem, "; trying again"));
        last_problem_ = problem;
        server().janitor_error.set(problem);
        server().unaskable.set(permanent);
        co_await disconnect();
        co_await pause(jittered(backoff));
        backoff = std::min<Duration>(backoff * 2, 5s);
      } else if (!looked) {
        co_await pause(look_again);
      } else {
        if (!last_problem_.empty()) log::info(text("server '", server().name, "' answers again"));
        last_problem_.clear();
        server().janitor_error.set(weakness_);
        server().unaskable.set(0);
        co_await pause(std::exchange(released_, false) ? look_soon : look_again);
      }
    }
    co_await disconnect();
    closed_ = true;
  }

 private:
  shm::Server& server() const { return in_.segment->servers()[server_]; }

  // There is nothing to ask any more.
  void forget_problem() {
    if (last_problem_.empty()) return;
    last_problem_.clear();
    server().janitor_error.set(weakness_);
    server().unaskable.set(0);
  }

  bool needed() const {
    if (!shm::is_answer(server().answered.get())) return true;
    const auto rows = in_.segment->rows(server_);
    if (budget::count(rows).of(budget::RowState::quarantined) > 0) return true;  // the confirm permit of an earlier janitor included
    return std::any_of(rows.begin(), rows.end(), [](shm::Row& row) { return pool::StatementCancel(row.cancel).is_asked(); });
  }

  awaitable<void> disconnect_when_unneeded() {
    if (inspector_ && Clock::now() - last_use_ > idle_before_end) co_await disconnect();
    idle_ = !inspector_;
    co_await pause(inspector_ ? look_soon : 100ms);  // the rows are ours to see: nobody is asked
  }

  // False: the confirm permit is not free yet.
  awaitable<bool> look() {
    if (!inspector_) {
      const bool connected = co_await connect();
      if (!connected) co_return false;
    }
    last_use_ = Clock::now();
    if (!asked_ || !shm::is_answer(server().answered.get())) co_await ask_capacity();
    co_await cancel_statements();
    co_await sweep();
    co_return true;
  }

  // Once with every connection: the server may have been started again with other numbers.
  awaitable<void> ask_capacity() {
    const pool::Capacity capacity = co_await inspector_->capacity(Deadline::after(ask_timeout));
    asked_ = true;
    shm::Server& s = server();
    const std::uint64_t last = s.answered.get();
    const auto timeout = static_cast<std::uint64_t>(to_millis(capacity.authentication_timeout));
    if (shm::is_answer(last) && s.max_connections.get() == capacity.max_connections && s.reserved.get() == capacity.reserved &&
        s.user_limit.get() == capacity.user_limit && s.authentication_timeout_ms.get() == timeout)
      co_return;
    if (shm::is_answer(last)) s.answered.set(last + 1);
    std::atomic_thread_fence(std::memory_order_release);  // nobody sees new numbers under the old answer's
    s.max_connections.set(capacity.max_connections);
    s.reserved.set(capacity.reserved);
    s.user_limit.set(capacity.user_limit);
    s.authentication_timeout_ms.set(timeout);
    s.answered.publish(shm::is_answer(last) ? last + 2 : last + 1);
  }

  // Owners that cannot do it themselves ask for the end of what their session runs.
  awaitable<void> cancel_statements() {
    const auto rows = in_.segment->rows(server_);
    for (std::uint32_t i = 1; i < rows.size(); ++i) {
      pool::StatementCancel request(rows[i].cancel);
      if (!request.is_asked() || !request.take()) continue;
      const std::uint64_t session = rows[i].session.load(), birth = rows[i].session_birth.load();
      // Only a request that was carried out, or surely never will be, is done: else the owner gives the connection up.
      if (session != 0) co_await inspector_->cancel(session, birth, Deadline::after(ask_timeout));
      request.done();
    }
  }

  awaitable<void> sweep() {
    const auto rows = in_.segment->rows(server_);
    budget::SweepInput input;
    input.now_nanos = now_nanos();
    for (std::uint32_t i = 1; i < rows.size(); ++i) {
      const budget::RowView view = budget::read(rows, i);
      if (view.owner.state != budget::RowState::disabled && view.owner.state != budget::RowState::free) input.rows.push_back(view);
    }
    sightings_.look(input.rows, input.now_nanos);
    std::vector<pool::SeenSession> seen;
    std::string forbidden;
    try {
      seen = co_await inspector_->sessions(Deadline::after(ask_timeout));
    } catch (const pool::Forbidden& e) {
      forbidden = e.what();
    }
    if (!forbidden.empty()) {
      release_unseen(input, forbidden);
      co_return;
    }
    weakness_.clear();
    const std::string nonce = identity_of(*in_.segment, 0, 0).nonce;
    for (const pool::SeenSession& s : seen) {
      budget::Session session;
      session.id = s.session;
      session.birth = s.birth;
      session.life = budget::Life{static_cast<std::uint16_t>(s.identity.slot), s.identity.generation};
      session.this_fleet = s.identity.nonce == nonce;
      session.age = s.age;
      session.named = s.known_by == pool::KnownBy::name;
      session.maybe_ours = s.known_by == pool::KnownBy::user;
      session.older = s.older;
      input.sessions.push_back(session);
    }
    input.authentication_timeout = std::chrono::milliseconds(server().authentication_timeout_ms.get());
    input.ended = [this](budget::Life life) { return ended(life); };
    const budget::SweepPlan plan = budget::plan_sweep(input);
    for (const budget::RowView& row : plan.release) {
      if (row.session != 0) {
        const bool absent = co_await inspector_->absent(row.session, row.session_birth, Deadline::after(ask_timeout));
        if (!absent) continue;
      }
      sightings_.forget(row.row);
      if (budget::release_proven(rows[row.row], row.owner, now_nanos())) {
        server().confirmed_rows.add();
        released_ = true;
      }
    }
    co_await end_sessions(seen, plan.end);
  }

  awaitable<void> end_sessions(const std::vector<pool::SeenSession>& seen, const std::vector<std::size_t>& which) {
    std::set<std::uint64_t> ending;  // it takes a session some looks to be gone: it counts once
    for (const std::size_t i : which) {
      const std::uint64_t session = seen[i].session;
      // One session that may not be ended (another role's) must not keep the others alive.
      try {
        const bool ended_it = co_await inspector_->end(seen[i], Deadline::after(ask_timeout));
        if (ended_it && ending.insert(session).second && !ending_sessions_.contains(session)) server().ended_sessions.add();
      } catch (const pool::Forbidden& e) {
        if (!std::exchange(told_forbidden_, true))
          log::warning(text("server '", server().name, "': a session that nobody can use any more may not be ended: ", e.what(),
                            "; its permit waits until it ends by itself"));
      } catch (const std::exception& e) {
        log::debug(text("server '", server().name, "': cannot end session ", session, ": ", e.what()));
      }
    }
    ending_sessions_ = std::move(ending);
  }

  // Nobody may tell which sessions exist. What was closed or lost this long ago is taken for gone: weaker, but the budget works.
  void release_unseen(const budget::SweepInput& input, const std::string& why) {
    const Duration enough = authentication_timeout() + budget::invisibility_margin;
    for (const budget::RowView& row : input.rows) {
      if (row.owner.state != budget::RowState::quarantined || std::chrono::nanoseconds(input.now_nanos - row.changed_nanos) <= enough) continue;
      sightings_.forget(row.row);
      if (budget::release_proven(in_.segment->rows(server_)[row.row], row.owner, now_nanos())) server().confirmed_rows.add();
    }
    const std::string weakness =
        text(why, "; until then a session that is not seen to end counts as gone after ", to_millis(enough), " ms, and orphans are not ended");
    if (weakness != weakness_) log::warning(text("server '", server().name, "': ", weakness));
    weakness_ = weakness;
  }

  Duration authentication_timeout() const {
    const Duration known = std::chrono::milliseconds(server().authentication_timeout_ms.get());
    return known > Duration::zero() ? known : Duration(60s);
  }

  bool ended(budget::Life life) const {
    if (life.slot == budget::janitor_slot) return life.generation != in_.generation;
    const auto slots = in_.segment->slots();
    if (life.slot >= slots.size()) return true;
    const shm::Slot& slot = slots[life.slot];
    const auto state = static_cast<shm::SlotState>(slot.state.get());
    const bool alive = state == shm::SlotState::starting || state == shm::SlotState::ready || state == shm::SlotState::draining;
    // A generation ahead of the published state is a life that has just begun.
    return life.generation < slot.generation.get() || (life.generation == slot.generation.get() && slot.pid.get() == 0 && !alive);
  }

  // The confirm permit first, then the connection.
  awaitable<bool> connect() {
    shm::Row& row = in_.segment->rows(server_)[0];
    const budget::Owner owner = budget::Owner::unpack(row.owner.load());
    if (owner.state == budget::RowState::quarantined && owner.life.slot == budget::janitor_slot) {
      // Its session is that of a dead client; one that may still be starting is waited for as long as the server would.
      const Duration starting = authentication_timeout() + budget::invisibility_margin;
      const Duration enough = row.session.load() != 0 ? own_predecessor_grace : starting;
      if (std::chrono::nanoseconds(now_nanos() - row.changed_nanos.load()) > enough) budget::release_proven(row, owner, now_nanos());
    }
    // After an unclean end the permit is free, but the earlier fleet's janitor may have left a session on it.
    if (server().unclean_start != 0 && std::chrono::nanoseconds(now_nanos() - in_.segment->header().started_nanos) < own_predecessor_grace) co_return false;
    const auto claimed = share_.claim(now_nanos());
    if (!claimed) co_return false;
    // One that could not connect is used again: it has learnt how the server wants it, and has told what there is to tell.
    if (!opening_) opening_ = driver_.make_inspector(options_, identity_of(*in_.segment, budget::janitor_slot, in_.generation));
    bool released = false, permanent = false;
    std::string cause;
    try {
      co_await opening_->open(Deadline::after(options_.connect_timeout));
    } catch (const pool::ConnectFailed& e) {
      released = e.released();
      permanent = e.permanent();
      cause = e.what();
    } catch (const std::exception& e) {
      cause = e.what();
      opening_.reset();
    }
    if (!cause.empty()) {
      if (released)
        share_.released(0, now_nanos());
      else
        share_.quarantined(0, now_nanos());
      throw pool::ConnectFailed(cause, released, permanent);
    }
    inspector_ = std::move(opening_);
    asked_ = false;
    share_.connected(0, inspector_->session(), inspector_->session_birth(), now_nanos());
    co_return true;
  }

  awaitable<void> disconnect() {
    if (!inspector_) co_return;
    share_.closing(0, now_nanos());
    const pool::CloseResult result = co_await inspector_->close(Deadline::after(options_.close_timeout));
    inspector_.reset();
    if (result == pool::CloseResult::confirmed)
      share_.released(0, now_nanos());
    else
      share_.quarantined(0, now_nanos());
  }

  awaitable<void> pause(Duration d) {
    if (ending_) co_return;
    timer_.expires_after(d);
    error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(use_awaitable, ignored));
  }

  Duration jittered(Duration d) {
    return std::chrono::duration_cast<Duration>(d * std::uniform_real_distribution<double>(0.5, 1.0)(random_));
  }

  asio::steady_timer timer_;
  const JanitorInputs& in_;
  std::uint32_t server_;
  const config::Pool& options_;
  const pool::Driver& driver_;
  budget::Share share_;
  std::unique_ptr<pool::Inspector> inspector_;  // connected
  std::unique_ptr<pool::Inspector> opening_;
  TimePoint last_use_{};
  std::string last_problem_;
  budget::Sightings sightings_;
  std::string weakness_;  // why confirmations are weaker than they could be
  std::set<std::uint64_t> ending_sessions_;  // those that the last look ended
  bool told_forbidden_ = false;
  bool asked_ = false;    // for the capacity, over this connection
  bool idle_ = false;
  bool released_ = false;  // by the last look
  bool ending_ = false;
  bool closed_ = false;
  std::mt19937_64 random_{std::random_device{}()};
};

awaitable<void> watch(std::vector<std::unique_ptr<Attendant>>& attendants, asio::io_context& loop, bool stay) {
  asio::steady_timer timer(loop);
  TimePoint idle_since = Clock::now();
  for (;;) {
    timer.expires_after(50ms);
    error_code ignored;
    co_await timer.async_wait(asio::redirect_error(use_awaitable, ignored));
    const TimePoint now = Clock::now();
    const bool all_idle = std::all_of(attendants.begin(), attendants.end(), [](const auto& a) { return a->idle(); });
    const bool all_closed = std::all_of(attendants.begin(), attendants.end(), [](const auto& a) { return a->closed(); });
    if (!all_idle) idle_since = now;
    if (all_closed) break;
    if (!stay && all_idle && now - idle_since > idle_before_end) break;
  }
  loop.stop();
}

}  // namespace

int run_janitor(const JanitorInputs& inputs) {
  asio::io_context loop(1);
  std::vector<std::unique_ptr<Attendant>> attendants;
  std::vector<bool> attended(inputs.segment->header().servers);
  for (std::uint32_t i = 0; i < inputs.pool_order.size(); ++i) {
    const std::uint32_t server = inputs.segment->pools()[i].server;
    const config::Pool& pool = inputs.config->pools.at(inputs.pool_order[i]);
    const pool::Driver* driver = pool::find_driver(pool::scheme_of(pool.url));
    const shm::Server& s = inputs.segment->servers()[server];
    if (attended[server] || !driver || !driver->make_inspector || s.local != 0 || s.via_proxy != 0) continue;
    attended[server] = true;
    attendants.push_back(std::make_unique<Attendant>(loop, inputs, server, pool, *driver));
  }
  const auto finished = [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  };
  for (const auto& a : attendants) asio::co_spawn(loop, a->attend(), finished);
  std::optional<Channel> channel;
  if (inputs.channel >= 0) {
    channel.emplace(loop, inputs.channel);
    channel->start([](const shm::Message& m) { if (m.type == shm::MessageType::reopen_logs) log::reopen(); },
                   [&attendants] {
                     for (const auto& a : attendants) a->ask_to_end();
                   });
  }
  asio::co_spawn(loop, watch(attendants, loop, inputs.stay), finished);
  loop.run();
  return 0;
}

}  // namespace sluice::runtime
