#include <sluice/core/log.hpp>
#include <sluice/core/resume.hpp>
#include <sluice/core/text.hpp>
#include <sluice/sql/pipeline.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
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

// What a caller throws out of its coroutine is the loop's to see, and no other caller's.
template <class Handler>
void go_on(asio::io_context& loop, Handler caller) {
  try {
    resume(loop, std::move(caller));
  } catch (...) {
    asio::post(loop, [failure = std::current_exception()] { std::rethrow_exception(failure); });
  }
}

}  // namespace

struct Pipeline::Traveller : GroupMember, TravellerHook {
  using Handler = asio::async_result<asio::use_awaitable_t<>, void()>::handler_type;

  std::shared_ptr<KnownText> text;
  Deadline overall;   // of the call
  Deadline boarding;  // until it has a connection
  TimePoint since{};
  Duration timeout{};  // of the statement once it travels, where the call brings none; 0: none
  unsigned tries = 0;
  bool over = false;                           // its outcome is its caller's to see
  Session* session = nullptr;                  // while it travels
  std::optional<Handler> caller;               // resumes the one who waits; none: nobody does
  StatementWatch::Running* running = nullptr;  // the caller's
  boost::source_location where;

  TimePoint patient_until() const noexcept {
    if (!session) return boarding.at;
    return deadline.is_never() ? deadline.at : deadline.at + farewell;
  }
  void end(Outcome how) noexcept {
    outcome = how;
    over = true;
  }
  Handler take_caller() noexcept {
    if (auto slot = asio::get_associated_cancellation_slot(*caller); slot.is_connected()) slot.clear();
    Handler taken = std::move(*caller);
    caller.reset();
    return taken;
  }
};

// What a caller awaits: its traveller holds the handler until somebody takes it.
struct Pipeline::Wait {
  Traveller* traveller;

  void operator()(Traveller::Handler&& handler) const {
    traveller->caller.emplace(std::move(handler));
    auto slot = asio::get_associated_cancellation_slot(*traveller->caller);
    if (!slot.is_connected()) return;
    slot.assign([this_one = traveller](asio::cancellation_type) {
      if (!this_one->caller) return;
      Traveller::Handler cancelled = std::move(*this_one->caller);
      this_one->caller.reset();
      const auto executor = cancelled.get_executor();
      asio::post(executor, std::move(cancelled));
    });
  }
};

Pipeline::Pipeline(pool::ConnectionSource& source, const SqlConnector& connector)
    : source_(&source),
      connector_(&connector),
      all_(source.options().pipeline == config::Pipeline::all),
      most_(source.options().pipeline_group),
      patience_(source.options().pipeline_patience) {}

Pipeline::~Pipeline() = default;

std::shared_ptr<KnownText> Pipeline::look_up(std::string_view sql) {
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

void Pipeline::throw_late(const Traveller& traveller, TimePoint now) const {
  if (traveller.session) throw TimedOut("the statement did not end before its deadline: " + shorten(traveller.statement.sql));
  const pool::Numbers n = source_->numbers();
  const std::string& cause = source_->last_connect_error();
  throw pool::PoolError(
      pool::Phase::wait_timeout,
      text("pool '", source_->name(), "': no connection within ", to_millis(now - traveller.since), " ms (wait timeout): ", n.leased, " leased, ",
           n.idle, " idle, ", n.connecting, " connecting, ", waiting_.size(), " statements waiting for company, limit ", n.limit, ", held ", n.held,
           cause.empty() ? "" : "; last connect error: ", cause),
      n, cause);
}

Pipeline::Trip::Trip(std::shared_ptr<Pipeline> pipeline, const asio::any_io_executor& executor, Statement statement, std::shared_ptr<KnownText> text,
                     StatementWatch::Running& running, Deadline overall, const boost::source_location& where)
    : pipeline_(std::move(pipeline)) {
  pipeline_->refuse_if_full();
  pipeline_->belong_to(executor);
  const Duration longest = pipeline_->source_->options().acquire_timeout;
  ticket_ = std::make_shared<Traveller>();
  ticket_->statement = std::move(statement);
  ticket_->text = std::move(text);
  ticket_->overall = overall;
  ticket_->since = Clock::now();
  ticket_->boarding = longest > Duration::zero() ? earlier(overall, Deadline{ticket_->since + longest}) : overall;
  ticket_->timeout = pipeline_->source_->options().statement_timeout;
  ticket_->running = &running;
  ticket_->where = where;
  pipeline_->present_.push_back(*ticket_);
  try {
    pipeline_->waiting_.push_back(ticket_);
    pipeline_->ring_by(ticket_->boarding.at);
    pipeline_->summon(executor, where);
  } catch (...) {
    pipeline_->leave(ticket_);
    throw;
  }
}

awaitable<void> Pipeline::Trip::wait() {
  const Wait until_told{ticket_.get()};
  return asio::async_initiate<const asio::use_awaitable_t<>, void()>(until_told, use_awaitable);
}

bool Pipeline::Trip::over() const noexcept { return ticket_->over; }

void Pipeline::Trip::throw_late() const { pipeline_->throw_late(*ticket_, Clock::now()); }

bool Pipeline::Trip::arrived(Rows& rows) {
  if (ticket_->outcome == GroupMember::Outcome::failed) std::rethrow_exception(ticket_->failure);
  if (ticket_->outcome != GroupMember::Outcome::done) return false;
  rows = std::move(ticket_->rows);
  return true;
}

Statement Pipeline::Trip::take_back() noexcept { return std::move(ticket_->statement); }

// The caller of this one is gone or served. On the way it cannot be called back: its result is dropped, and if it is late the server is
// told to end it. A short moment is given, because most are done by then.
void Pipeline::leave(const Ticket& ticket) noexcept {
  ticket->unlink();
  ticket->running = nullptr;
  if (present_.empty() && alarm_) {
    alarm_->cancel();
    rings_ = TimePoint::max();
  }
  if (ticket->over) return;
  if (ticket->session) {
    ticket->deadline = earlier(ticket->deadline, Deadline::after(10ms));
    ticket->session->hurry();
    return;
  }
  std::erase(waiting_, ticket);
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
  std::vector<Traveller::Handler> late;
  for (Traveller& traveller : present_) {
    if (!traveller.caller) continue;
    const TimePoint until = traveller.patient_until();
    if (until <= now)
      late.push_back(traveller.take_caller());
    else
      next = std::min(next, until);
  }
  ring_by(next);
  for (Traveller::Handler& handler : late) go_on(*loop_, std::move(handler));
}

// Waiting coroutines hold this object, and it holds them: without a loop nobody else would end either.
void Pipeline::loop_ended() noexcept {
  std::vector<Traveller::Handler> ended;
  for (Traveller& traveller : present_) {
    traveller.over = true;
    if (!traveller.caller) continue;
    ended.push_back(std::move(*traveller.caller));  // its cancellation slot may be gone already: nobody touches it any more
    traveller.caller.reset();
  }
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
void Pipeline::summon(const asio::any_io_executor& executor, boost::source_location where) {
  if (summoned_ >= waiting_.size() || summoned_ >= most_summoned()) return;
  ++summoned_;
  // On the loop itself: a caller's own executor may carry its task, and a carrier is nobody's.
  auto& loop = static_cast<asio::io_context&>(asio::query(executor, asio::execution::context));
  const auto rethrow = [](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
  };
  asio::co_spawn(loop, carry(shared_from_this(), where), rethrow);
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
    if (try_again && !self->waiting_.empty()) self->summon(executor, where);
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
  if (!self->waiting_.empty()) self->summon(executor, self->waiting_.front()->where);
}

Duration Pipeline::together(const Party& party) noexcept {
  Duration sum{};
  for (const Ticket& ticket : party) sum += ticket->text->takes;
  return sum;
}

Pipeline::Party Pipeline::take() {
  Party party;
  if (waiting_.empty()) return party;
  const std::size_t even = group_size(waiting_.size(), carriers_ + source_->numbers().connecting);
  const std::size_t most = even == 1 ? 1 : most_;
  Duration takes{};
  while (!waiting_.empty() && party.size() < most) {
    takes += waiting_.front()->text->takes;
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
  std::vector<GroupMember*> members;
  members.reserve(party.size());
  bool chained = false;
  for (const Ticket& ticket : party) {
    ticket->session = &session;
    ticket->outcome = GroupMember::Outcome::open;
    ticket->deadline = ticket->overall.is_never() && ticket->timeout > Duration::zero() ? Deadline{began + ticket->timeout} : ticket->overall;
    chained = chained || ticket->text->sharing == Sharing::chain;
    if (ticket->running) ticket->running->on(session);
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
    if (ticket->outcome != GroupMember::Outcome::open) continue;
    ticket->outcome = GroupMember::Outcome::failed;
    ticket->failure = failure;
  }
  self->arrive(party, Clock::now() - began);
}

void Pipeline::arrive(Party& party, Duration took) {
  using Outcome = GroupMember::Outcome;
  const bool late = party.size() > 1 && took > group_is_late;
  if (party.size() == 1) {
    if (party.front()->outcome == Outcome::done) party.front()->text->learn(took);
  } else if (const Duration expected = together(party); took < expected) {
    for (const Ticket& ticket : party) ticket->text->learn_in_company(took, expected);
  }
  std::size_t again = 0;
  const TimePoint now = Clock::now();
  for (const Ticket& ticket : party) {
    if (late || ticket->slow) ticket->text->suspect();
    if (ticket->unfit) ticket->text->sharing = Sharing::none;
    if (ticket->outcome == Outcome::again && ticket->deadline.passed(now)) {
      ticket->outcome = Outcome::failed;
      ticket->failure = std::make_exception_ptr(
          TimedOut("the statement did not end before its deadline, and nothing of it remains: " + shorten(ticket->statement.sql)));
    }
    if (ticket->outcome == Outcome::again && !ticket->caller) ticket->over = true;  // nobody wants it any more
    if (ticket->outcome == Outcome::again && ticket->caller && ++ticket->tries <= most_tries) {
      waiting_.insert(waiting_.begin() + static_cast<std::ptrdiff_t>(again++), ticket);  // they came first
      ticket->since += took;  // on the way it did not wait for a connection
      if (!ticket->boarding.is_never()) ticket->boarding = earlier(ticket->overall, Deadline{ticket->boarding.at + took});
      ring_by(ticket->patient_until());
      continue;
    }
    ticket->over = true;
  }
  tell(party);
}

// Callers go on inside of this call, until they wait again.
void Pipeline::tell(const Party& party) {
  for (const Ticket& ticket : party) {
    if (ticket->over && ticket->caller) go_on(*loop_, ticket->take_caller());
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
    failed.back()->failure = failure;
    failed.back()->end(GroupMember::Outcome::failed);
  }
  tell(failed);
}

}  // namespace sluice::sql
