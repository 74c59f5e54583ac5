#include <sluice/core/log.hpp>
#include <sluice/core/resume.hpp>
#include <sluice/core/text.hpp>
#include <sluice/sql/alone.hpp>
#include <sluice/sql/pipeline.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace sluice::sql {
namespace {

// So long a carrier goes on with one connection before it takes its turn in the pool's queue again: the pool ages, lends and replaces
// connections only when they come back, and others see by the queue that more could be used.
constexpr Duration shift = 10ms;
constexpr std::uint32_t always_in_queue = 8;
// What a group should take at most; up to where it may grow beyond its even part, because the round trip costs more; and how late it
// may be before its members are no company any more.
constexpr Duration group_takes = 5ms, trifle = 1ms, group_is_late = 20ms;
// So often a statement may lose its group to others before it goes alone.
constexpr unsigned most_tries = 2;
// Longer texts are not remembered, and travel with nobody.
constexpr std::size_t longest_text = 4096;
// How a carrier asks for a connection.
constexpr pool::Wish usual;
// Past its deadline a caller on the way waits so long for the group, which is cancelled on the server then.
constexpr Duration farewell = 2500ms;

Session& session_of(pool::Lease& lease) { return static_cast<Session&>(lease.connection()); }

// A coroutine of its own that ends by whatever its caller lets through to it.
awaitable<Rows> afresh(awaitable<Rows> own) {
  co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
  co_return co_await std::move(own);
}

// What a caller throws out of its coroutine is the loop's to see, and no other caller's.
template <class Handler>
void go_on(asio::io_context& loop, Handler caller, std::exception_ptr failure, Rows rows) {
  try {
    resume(loop, std::move(caller), std::move(failure), std::move(rows));
  } catch (...) {
    asio::post(loop, [failure = std::current_exception()] { std::rethrow_exception(failure); });
  }
}

}  // namespace

struct Pipeline::Traveller : GroupMember, TravellerHook, boost::intrusive_ref_counter<Traveller, boost::thread_unsafe_counter> {
  using Handler = asio::async_result<asio::use_awaitable_t<>, void(std::exception_ptr, Rows)>::handler_type;

  KnownTextRef known;  // it has the text
  CallLimit limit;     // of the call
  Deadline overall;    // since it has begun
  Deadline boarding;   // until it has a connection
  TimePoint since{};
  Session* session = nullptr;                      // while it travels
  std::optional<Handler> caller;                   // who waits; none: nobody does
  std::optional<StatementWatch::Running> running;  // while somebody waits
  boost::source_location where;
  unsigned tries = 0;

  TimePoint patient_until() const noexcept {
    if (!session) return boarding.at;
    return deadline.is_never() ? deadline.at : deadline.at + farewell;
  }
  void fail(std::exception_ptr why) noexcept {
    outcome = Outcome::failed;
    failure = std::move(why);
  }
  Handler take_caller() noexcept {
    if (auto slot = asio::get_associated_cancellation_slot(*caller); slot.is_connected()) slot.clear();
    Handler taken = std::move(*caller);
    caller.reset();
    return taken;
  }
};

// What a caller awaits: its traveller holds the handler until somebody takes it.
struct Pipeline::Departure {
  Pipeline* pipeline;
  Ticket traveller;

  void operator()(Traveller::Handler&& handler) const {
    auto slot = asio::get_associated_cancellation_slot(traveller->caller.emplace(std::move(handler)));
    if (slot.is_connected()) slot.assign([line = pipeline, one = traveller.get()](asio::cancellation_type) { line->cancel(*one); });
    pipeline->depart(*traveller);
  }
};

Pipeline::Pipeline(pool::ConnectionSource& source, const SqlConnector& connector, std::shared_ptr<StatementWatch> watch)
    : source_(&source),
      connector_(&connector),
      watch_(std::move(watch)),
      all_(source.options().pipeline == config::Pipeline::all),
      most_(source.options().pipeline_group),
      patience_(source.options().pipeline_patience) {}

Pipeline::~Pipeline() = default;

KnownTextRef Pipeline::look_up(std::string_view sql) {
  if (sql.size() > longest_text) return nullptr;
  return texts_.find(sql, [this](std::string_view text) {
    const Sharing sharing = connector_->sharing(text);
    return sharing == Sharing::reads || all_ ? sharing : Sharing::none;
  });
}

void Pipeline::refuse_if_full() const {
  const auto& limit = source_->options().queue_limit;
  if (!limit || waiting_.size() < *limit) return;
  const pool::Numbers n = source_->numbers();
  throw pool::PoolError(pool::Phase::queue_full,
                        text("pool '", source_->name(), "': no idle connection and queue_limit ", *limit, " is reached (queue full): ", n.leased,
                             " leased, ", waiting_.size(), " statements waiting for company, limit ", n.limit, ", held ", n.held),
                        n, source_->last_connect_error());
}

std::exception_ptr Pipeline::lateness(const Traveller& traveller, TimePoint now) const {
  if (traveller.session) return std::make_exception_ptr(TimedOut("the statement did not end before its deadline: " + shorten(traveller.sql())));
  const pool::Numbers n = source_->numbers();
  const std::string& cause = source_->last_connect_error();
  return std::make_exception_ptr(pool::PoolError(
      pool::Phase::wait_timeout,
      text("pool '", source_->name(), "': no connection within ", to_millis(now - traveller.since), " ms (wait timeout): ", n.leased, " leased, ",
           n.idle, " idle, ", n.connecting, " connecting, ", waiting_.size(), " statements waiting for company, limit ", n.limit, ", held ", n.held,
           cause.empty() ? "" : "; last connect error: ", cause),
      n, cause));
}

// ---- callers

awaitable<Rows> Pipeline::travel(KnownTextRef text, std::vector<Value> parameters, std::optional<StatementWatch::Running> running, CallLimit limit,
                                 const boost::source_location& where) {
  Ticket traveller(new Traveller);
  traveller->text = &text->text;
  traveller->known = std::move(text);
  traveller->parameters = std::move(parameters);
  traveller->limit = limit;
  if (running) traveller->running.emplace(std::move(*running));
  traveller->where = where;
  return asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr, Rows)>(Departure{this, std::move(traveller)}, use_awaitable);
}

// Its caller waits from here on.
void Pipeline::depart(Traveller& traveller) {
  try {
    belong_to(traveller.caller->get_executor());
    if (!traveller.running) traveller.running.emplace(*watch_, *traveller.known, &traveller.parameters);
    refuse_if_full();
    traveller.overall = traveller.limit.begin();
    const Duration longest = source_->options().acquire_timeout;
    traveller.since = Clock::now();
    traveller.boarding = longest > Duration::zero() ? earlier(traveller.overall, Deadline{traveller.since + longest}) : traveller.overall;
    present_.push_back(traveller);
    waiting_.emplace_back(&traveller);
    ring_by(traveller.boarding.at);
    summon(traveller.where);
  } catch (...) {
    Traveller::Handler caller = traveller.take_caller();
    give_up(traveller);
    const auto executor = caller.get_executor();
    asio::post(executor, [caller = std::move(caller), failure = std::current_exception()]() mutable { std::move(caller)(failure, Rows()); });
  }
}

void Pipeline::cancel(Traveller& traveller) {
  if (!traveller.caller) return;
  Traveller::Handler caller = std::move(*traveller.caller);
  traveller.caller.reset();
  give_up(traveller);
  const auto executor = caller.get_executor();
  asio::post(executor, [caller = std::move(caller)]() mutable {
    std::move(caller)(std::make_exception_ptr(boost::system::system_error(asio::error::operation_aborted)), Rows());
  });
}

// The caller of this one is gone. On the way it cannot be called back: its result is dropped, and if it is late the server is told to end
// it. A short moment is given, because most are done by then.
void Pipeline::give_up(Traveller& traveller) noexcept {
  const Ticket keep(&traveller);
  leave(traveller);
  if (traveller.session) {
    traveller.deadline = earlier(traveller.deadline, Deadline::after(10ms));
    traveller.session->hurry();
    return;
  }
  std::erase(waiting_, keep);
}

// Nobody waits for it any more.
void Pipeline::leave(Traveller& traveller) noexcept {
  traveller.unlink();
  traveller.running.reset();
  if (present_.empty() && alarm_) {
    alarm_->cancel();
    rings_ = TimePoint::max();
  }
}

// ---- time

void Pipeline::belong_to(const asio::any_io_executor& executor) {
  if (loop_) return;
  loop_ = &static_cast<asio::io_context&>(asio::query(executor, asio::execution::context));
  alarm_.emplace(*loop_);
  asio::use_service<LoopEnd>(*loop_).tell(weak_from_this());
}

// One alarm for all who wait: it is set for the earliest deadline that it knows of, and looks who is late when it rings.
void Pipeline::ring_by(TimePoint at) {
  if (at >= rings_) return;
  rings_ = at;
  alarm_->expires_at(at);
  alarm_->async_wait([weak = weak_from_this()](const error_code& error) {
    const std::shared_ptr<Pipeline> self = weak.lock();
    if (!error && self) self->ring();
  });
}

void Pipeline::ring() {
  rings_ = TimePoint::max();
  const TimePoint now = Clock::now();
  TimePoint next = TimePoint::max();
  Party late;
  for (Traveller& traveller : present_) {
    const TimePoint until = traveller.patient_until();
    if (until <= now)
      late.emplace_back(&traveller);
    else
      next = std::min(next, until);
  }
  ring_by(next);
  for (const Ticket& traveller : late) {
    if (!traveller->caller) continue;  // one before it has cancelled it
    std::exception_ptr why = lateness(*traveller, now);
    Traveller::Handler caller = traveller->take_caller();
    give_up(*traveller);
    go_on(*loop_, std::move(caller), std::move(why), Rows());
  }
}

// Waiting coroutines hold this object, and it holds them: without a loop nobody else would end either.
void Pipeline::loop_ended() noexcept {
  std::vector<Traveller::Handler> ended;
  for (Traveller& traveller : present_) {
    traveller.running.reset();
    ended.push_back(std::move(*traveller.caller));  // its cancellation slot may be gone already: nobody touches it any more
    traveller.caller.reset();
  }
  present_.clear();
  waiting_.clear();
  alarm_.reset();
}

// ---- carriers

// As many as could get a connection, and some in any case, so that the pool wants more than it has and borrows from workers that have
// connections to spare.
std::uint32_t Pipeline::most_summoned() const noexcept {
  const std::uint32_t limit = source_->numbers().limit;
  return std::max(always_in_queue, limit > carriers_ ? limit - carriers_ : 0);
}

// As many as there are statements, so that the pool opens connections for them as for anybody.
void Pipeline::summon(const boost::source_location& where) {
  if (summoned_ >= waiting_.size() || summoned_ >= most_summoned()) return;
  ++summoned_;
  const auto rethrow = [](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
  };
  // On the loop itself: a caller's own executor may carry its task, and a carrier is nobody's.
  asio::co_spawn(*loop_, carry(shared_from_this(), where), rethrow);
}

awaitable<void> Pipeline::carry(std::shared_ptr<Pipeline> self, boost::source_location where) {
  struct Count {
    std::uint32_t* number;
    ~Count() { --*number; }
  };
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, use_awaitable);  // out of the task of whoever summoned it
  pool::Lease lease;
  std::exception_ptr failure;
  std::size_t how_many = SIZE_MAX;
  bool try_again = false;
  {
    const Count summoned{&self->summoned_};
    if (self->waiting_.empty()) co_return;  // then the pool may be gone, too
    try {
      lease = co_await self->source_->acquire(usual, where);
    } catch (const pool::PoolError& e) {
      failure = std::current_exception();
      how_many = self->concerned_by(e.phase());
      try_again = e.phase() != pool::Phase::queue_full && e.phase() != pool::Phase::connect;
    } catch (const std::exception&) {
      failure = std::current_exception();
    }
  }
  if (failure) {
    self->fail(failure, how_many);
    if (try_again && !self->waiting_.empty()) self->summon(where);
    co_return;
  }
  ++self->carriers_;
  const Count carrying{&self->carriers_};
  const TimePoint until = Clock::now() + shift;
  for (;;) {
    Party party = self->take();
    if (party.empty()) break;
    co_await perform(self, lease, party);
    if (lease->broken) break;
    // Those who were answered may ask again first.
    co_await asio::post(executor, use_awaitable);
    // Somebody waits here, so the pool is there.
    if (self->waiting_.empty() || Clock::now() >= until || self->source_->numbers().waiting > self->summoned_) break;
  }
  lease.release();
  if (!self->waiting_.empty()) self->summon(self->waiting_.front()->where);
}

Duration Pipeline::together(const Party& party) noexcept {
  Duration sum{};
  for (const Ticket& ticket : party) sum += ticket->known->takes;
  return sum;
}

Pipeline::Party Pipeline::take() {
  Party party;
  if (waiting_.empty()) return party;
  const std::size_t even = group_size(waiting_.size(), carriers_ + source_->numbers().connecting);
  const std::size_t most = even == 1 ? 1 : most_;
  Duration takes{};
  while (!waiting_.empty() && party.size() < most) {
    takes += waiting_.front()->known->takes;
    if (!party.empty() && takes > (party.size() < even ? group_takes : trifle)) break;
    party.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return party;
}

awaitable<void> Pipeline::perform(std::shared_ptr<Pipeline> self, pool::Lease& lease, Party& party) {
  // However this ends, also with the loop: nobody refers to the session any more.
  struct Aboard {
    Party& party;
    ~Aboard() {
      for (const Ticket& ticket : party) ticket->session = nullptr;
    }
  };
  Session& session = session_of(lease);
  const TimePoint began = Clock::now();
  const Duration timeout = self->source_->options().statement_timeout;
  std::vector<GroupMember*> members;
  members.reserve(party.size());
  bool chained = false;
  for (const Ticket& ticket : party) {
    ticket->session = &session;
    ticket->outcome = GroupMember::Outcome::open;
    ticket->deadline = ticket->overall.is_never() && timeout > Duration::zero() ? Deadline{began + timeout} : ticket->overall;
    chained = chained || ticket->known->sharing == Sharing::chain;
    if (ticket->running) ticket->running->on(session, began);
    self->ring_by(ticket->patient_until());
    members.push_back(ticket.get());
  }
  std::exception_ptr failure;
  {
    const Aboard aboard{party};
    try {
      co_await session.run_group(members, chained, self->patience_);
    } catch (const std::exception&) {
      failure = std::current_exception();
    }
  }
  for (const Ticket& ticket : party) {
    if (ticket->outcome == GroupMember::Outcome::open) ticket->fail(failure);
  }
  const TimePoint now = Clock::now();
  self->arrive(party, now - began, now);
}

void Pipeline::arrive(Party& party, Duration took, TimePoint now) {
  using Outcome = GroupMember::Outcome;
  const bool late = party.size() > 1 && took > group_is_late;
  if (party.size() == 1) {
    if (party.front()->outcome == Outcome::done) party.front()->known->learn(took);
  } else if (const Duration expected = together(party); took < expected) {
    for (const Ticket& ticket : party) ticket->known->learn_in_company(took, expected);
  }
  std::size_t again = 0;
  for (Ticket& ticket : party) {
    if (late || ticket->slow) ticket->known->suspect();
    if (ticket->unfit) ticket->known->sharing = Sharing::none;
    if (ticket->outcome != Outcome::again || !ticket->caller) continue;
    if (ticket->deadline.passed(now)) {
      ticket->fail(std::make_exception_ptr(
          TimedOut("the statement did not end before its deadline, and nothing of it remains: " + shorten(ticket->sql()))));
    } else if (++ticket->tries <= most_tries) {
      ticket->since += took;  // on the way it did not wait for a connection
      if (!ticket->boarding.is_never()) ticket->boarding = earlier(ticket->overall, Deadline{ticket->boarding.at + took});
      ring_by(ticket->patient_until());
      waiting_.insert(waiting_.begin() + static_cast<std::ptrdiff_t>(again++), std::move(ticket));  // they came first
    }
  }
  tell(party, now);
}

// Callers go on inside of this call, until they wait again. Each traveller is gone by then, so that the next one finds its memory warm.
void Pipeline::tell(Party& party, TimePoint now) {
  for (Ticket& ticket : party) {
    Ticket traveller = std::move(ticket);
    if (!traveller || !traveller->caller) continue;
    Traveller::Handler caller = traveller->take_caller();
    switch (traveller->outcome) {
      case GroupMember::Outcome::done: {
        traveller->running->succeeded(now);
        leave(*traveller);
        Rows rows = std::move(traveller->rows);
        traveller.reset();
        go_on(*loop_, std::move(caller), nullptr, std::move(rows));
        break;
      }
      case GroupMember::Outcome::failed:
        leave(*traveller);
        go_on(*loop_, std::move(caller), std::move(traveller->failure), Rows());
        break;
      default: {
        std::optional<StatementWatch::Running> running = std::move(traveller->running);
        leave(*traveller);
        const auto executor = caller.get_executor();
        awaitable<Rows> own = run_alone(*source_, *watch_, nullptr, Statement({}, std::move(traveller->parameters)), traveller->known,
                                        std::move(running), traveller->overall, traveller->where);
        asio::co_spawn(executor, afresh(std::move(own)), std::move(caller));
      }
    }
  }
}

// How many of those who wait it concerns that a carrier got no connection.
std::size_t Pipeline::concerned_by(pool::Phase phase) const noexcept {
  switch (phase) {
    case pool::Phase::wait_timeout: return 0;                                       // each has a timer of its own
    case pool::Phase::connect:
    case pool::Phase::queue_full: return carriers_ + summoned_ > 1 ? 0 : SIZE_MAX;  // others are on their way with a connection
    case pool::Phase::hook:
    case pool::Phase::validation: return 1;  // like any caller's
    default: return SIZE_MAX;                // there will be none
  }
}

void Pipeline::fail(const std::exception_ptr& failure, std::size_t how_many) {
  Party failed;
  for (; how_many > 0 && !waiting_.empty(); --how_many) {
    failed.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    failed.back()->fail(failure);
  }
  tell(failed, TimePoint());
}

}  // namespace sluice::sql
