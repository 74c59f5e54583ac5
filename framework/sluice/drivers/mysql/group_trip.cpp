// A group's way through the library: its statements are sent one after the other, then their answers are read.
#include <sluice/core/text.hpp>
#include <sluice/drivers/mysql/exchange.hpp>
#include <sluice/drivers/mysql/group.hpp>
#include <sluice/drivers/mysql/replies.hpp>
#include <sluice/pool/statement_cancel.hpp>
#include <sluice/sql/placeholders.hpp>

#include <mysql.h>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

namespace sluice::mysql {
namespace {

// So much travels before the first answer is read: less than the sockets hold, or a server that waits until its answer is read and a
// sender that waits until its statement is taken would wait for each other.
constexpr std::size_t most_ahead = 16 * 1024;
constexpr std::size_t overhead = 64;  // of a statement, beside its parameters
// Of those who are interrupted although the patience was lost with another: what is known to take longer has no company.
constexpr Duration least_patience = 5ms;
// A KILL QUERY that comes before the server has begun with the statement hits nothing.
constexpr Duration ask_again = 20ms;

class HeldBack {
 public:
  explicit HeldBack(Wire& wire) : wire_(wire) { wire_.hold_back(true); }
  ~HeldBack() { wire_.hold_back(false); }
  HeldBack(const HeldBack&) = delete;
  HeldBack& operator=(const HeldBack&) = delete;

 private:
  Wire& wire_;
};

}  // namespace

class MysqlSession::GroupTrip {
 public:
  using Outcome = sql::GroupMember::Outcome;

  // Without a janitor there is nobody to interrupt what runs: the server's own limit does.
  GroupTrip(MysqlSession& session, std::span<sql::GroupMember* const> members, Duration patience)
      : session_(session),
        members_(members),
        prepared_(members.size()),
        patience_(members.size() > 1 && session.cancel ? patience : Duration::max()) {}

  // Only MariaDB is known to read on while it answers, and of a proxy nobody knows.
  bool may_have_company() const noexcept { return session_.mariadb_ && session_.session != 0; }
  void refuse_company() {
    for (sql::GroupMember* member : members_) end(*member, Verdict{.outcome = Outcome::alone, .unfit = true});
  }

  // The session is read-only, and the server knows every statement; whose it does not take is failed.
  awaitable<void> prepare() {
    const Deadline until = latest();
    if (!until.passed(Clock::now())) {
      if (!limited(until)) co_await session_.limit_on_server(until, until, Reader::prompt);
      if (!session_.reads_only_) co_await session_.keep_to_reads(true, until);
    }
    bool patient = true;
    for (std::size_t at = 0; at < members_.size() && !session_.broken; ++at) {
      sql::GroupMember& member = *members_[at];
      const std::string& sql = member.sql();
      prepared_[at] = session_.cache_.find(sql);
      if (!prepared_[at] && !patient) {
        end(member, Verdict{.outcome = Outcome::again});
        continue;
      }
      std::exception_ptr failure;
      unsigned code = 0;
      bool late = false;
      try {
        refuse_late(member.deadline, sql);
        if (!prepared_[at]) prepared_[at] = co_await session_.prepare(sql, earlier(member.deadline, after_patience()), Company::reads);
        if (prepared_[at]) sql::check_parameter_count(prepared_[at]->translated.highest, member.parameters.size(), sql);
      } catch (const sql::SqlError& e) {
        failure = std::current_exception();
        code = static_cast<unsigned>(e.native_code());
      } catch (const TimedOut&) {
        failure = std::current_exception();
        late = true;
      }
      if (late && !member.deadline.passed(Clock::now())) {
        patient = false;
        end(member, Verdict{.outcome = Outcome::alone, .slow = true});
      } else if (is_write_refused(code) || (!failure && (!prepared_[at] || !prepared_[at]->read))) {
        end(member, Verdict{.outcome = Outcome::alone, .unfit = true});
      } else if (is_too_many_prepared(code)) {
        end(member, Verdict{.outcome = Outcome::alone});
      } else if (failure && (late || !session_.broken)) {
        fail(member, std::move(failure));
      }
    }
  }

  awaitable<void> send() {
    replies_.emplace(session_.wire_->get());
    replies_->send_only(true);
    {
      const HeldBack together(*session_.wire_);
      std::size_t ahead = 0;
      for (std::size_t at = 0; at < members_.size() && !session_.broken; ++at) {
        sql::GroupMember& member = *members_[at];
        if (member.outcome != Outcome::open) continue;
        if (!prepared_[at]->handle) {  // the server had no room for so many
          end(member, Verdict{.outcome = Outcome::alone});
          continue;
        }
        std::exception_ptr failure;
        try {
          Parameters parameters(std::move(member.parameters), prepared_[at]->translated.order, member.sql());
          session_.check_size(parameters.bytes(), member.sql());
          const std::size_t size = parameters.bytes() + overhead;
          if (members_.size() > 1 && ahead + size > most_ahead) {
            end(member, Verdict{.outcome = Outcome::alone});
          } else {
            ahead += size;
            co_await send(at, parameters);
          }
          member.parameters = std::move(parameters).values();
        } catch (const sql::SqlError&) {
          failure = std::current_exception();
        }
        if (failure) fail(member, std::move(failure));
      }
    }
    replies_->send_only(false);
  }

  awaitable<void> read() {
    parted_ = after_patience();
    for (; answered_ < sent_.size() && !session_.broken; ++answered_) co_await answer(sent_[answered_]);
  }

  // Lets go of statements that are not kept.
  awaitable<void> leave() {
    replies_.reset();
    for (const PreparedRef& prepared : prepared_) {
      if (prepared && prepared->handle && !session_.broken && !session_.keeps(prepared)) co_await session_.forget(prepared);
    }
  }

  // Nothing remains of who has no answer.
  void settle() {
    for (sql::GroupMember* member : members_) {
      if (member->outcome == Outcome::open) end(*member, Verdict{.outcome = Outcome::again});
    }
  }

 private:
  static void end(sql::GroupMember& member, const Verdict& verdict) {
    member.outcome = verdict.outcome;
    member.unfit = verdict.unfit;
    member.slow = verdict.slow;
  }
  static void fail(sql::GroupMember& member, std::exception_ptr failure) {
    member.outcome = Outcome::failed;
    member.failure = std::move(failure);
  }

  Deadline latest() const {
    Deadline latest = members_.front()->deadline;
    for (const sql::GroupMember* member : members_) {
      if (member->deadline.is_never() || latest.is_never()) return Deadline();
      latest = Deadline{std::max(latest.at, member->deadline.at)};
    }
    return latest;
  }

  Deadline after_patience() const {
    const TimePoint now = Clock::now();
    return patience_ > TimePoint::max() - now ? Deadline() : Deadline{now + patience_};
  }

  // What is in force lets every member run until its deadline. A longer limit does no harm to those who have a janitor.
  bool limited(Deadline until) const {
    if (patience_ == Duration::max()) return session_.limited_to(until, Reader::prompt);
    return session_.limit_ == Duration::zero() || (!until.is_never() && session_.limit_ >= until.remaining(Clock::now()));
  }

  // REQUIRES: the parameters are kept until it returns.
  awaitable<void> send(std::size_t at, Parameters& parameters) {
    const Deadline until = members_.size() > 1 ? session_.last_word() : members_[at]->deadline;
    Execution execute = session_.execution(*prepared_[at], parameters);
    Call call = session_.start(execute);
    while (!call.done()) {
      const Wake wake = co_await call.wait(until);
      if (wake == Wake::cancelled) throw boost::system::system_error(asio::error::operation_aborted);
      if (wake == Wake::expired) {
        session_.broken = true;
        co_return;
      }
      call.go_on();
    }
    if (!execute.failed)
      sent_.push_back(at);
    else
      session_.broken = true;  // by the library: the server has not been heard yet
  }

  awaitable<void> answer(std::size_t at) {
    sql::GroupMember& member = *members_[at];
    MYSQL_STMT* const s = prepared_[at]->handle;
    Deadline word;
    bool asked = false;
    {
      my_bool failed = 0;
      auto step = [&](int ready) { return replies_->read(s, failed, ready); };
      Call call = session_.start(step);
      while (!call.done()) {
        const Wake wake = co_await call.wait(asked ? earlier(word, Deadline::after(ask_again)) : earlier(member.deadline, parted_));
        if (wake == Wake::cancelled) throw boost::system::system_error(asio::error::operation_aborted);
        if (wake == Wake::ready) {
          call.go_on();
          continue;
        }
        if (!asked) {
          asked = true;
          word = session_.last_word();
          interruptions_ += session_.cancel ? 1 : 0;
        }
        if (word.passed(Clock::now())) {
          session_.broken = true;  // the server does not answer: the end of the connection tells it
          expire(member);
          co_return;
        }
        if (session_.cancel) pool::StatementCancel(*session_.cancel).ask();
      }
      take(at, failed != 0, asked);
      session_.unfinished_ = session_.broken || answered_ + 1 < sent_.size();
    }
    if (!asked || session_.broken) co_return;
    co_await session_.settle_cancel(word);
    // Those behind it have less patience left, all together: what holds up one may hold up all.
    parted_ = patience_ == Duration::max() ? Deadline()
                                           : Deadline::after(std::max<Duration>(patience_ / (1 << std::min(interruptions_, 16)), least_patience));
  }

  void expire(sql::GroupMember& member) {
    if (!member.deadline.passed(Clock::now())) return end(member, Verdict{.outcome = Outcome::alone, .slow = true});
    fail(member, std::make_exception_ptr(never_ended(member.sql())));
  }

  // The answer that the library has read.
  void take(std::size_t at, bool failed, bool asked) {
    sql::GroupMember& member = *members_[at];
    const std::string& sql = member.sql();
    MYSQL_STMT* const s = prepared_[at]->handle;
    if (failed) return refused(member, report_of(s), asked);
    if (mysql_stmt_more_results(s) || mysql_stmt_field_count(s) == 0) {  // not what a read gives
      session_.broken = true;
      return;
    }
    try {
      auto set = std::make_shared<sql::ResultSet>();
      RowReader reader(s);
      session_.take_rows(*prepared_[at], reader, *set, sql);
      member.rows = sql::Rows(std::move(set));
      member.outcome = Outcome::done;
    } catch (const sql::SqlError&) {
      fail(member, std::current_exception());
    }
  }

  void refused(sql::GroupMember& member, const Report& why, bool asked) {
    // What the library itself does not understand leaves the connection in disorder.
    if (is_lost(why.code) || why.code == 0 || (why.code >= 2000 && why.code < 3000 && !is_stale(why.code))) {
      session_.broken = true;
      return;
    }
    const Refusal refusal{.code = why.code,
                          .expired = member.deadline.passed(Clock::now()),
                          .cancelled = interruptions_ > 0,
                          .cancel_meant = asked && interruptions_ == 1};
    const Verdict verdict = mysql::verdict(refusal);
    end(member, verdict);
    if (is_stale(why.code)) session_.cache_.erase(member.sql());
    if (verdict.outcome != Outcome::failed) return;
    const std::string& sql = member.sql();
    member.failure = verdict.late ? std::make_exception_ptr(ended_late(sql))
                                  : std::make_exception_ptr(statement_error(why, sql::Phase::execute, sql, session_.show_values_));
  }

  MysqlSession& session_;
  std::span<sql::GroupMember* const> members_;
  std::vector<PreparedRef> prepared_;  // of each member
  const Duration patience_;
  std::optional<Replies> replies_;
  std::vector<std::size_t> sent_;  // members, in the order of the answers
  std::size_t answered_ = 0;       // so many of them
  Deadline parted_;                // when what runs then is interrupted
  int interruptions_ = 0;          // so often the janitor was asked to end what runs
};

awaitable<void> MysqlSession::run_group(std::span<sql::GroupMember* const> members, bool, Duration patience) {
  GroupTrip trip(*this, members, patience);  // before the turn: statements that are not kept are freed after it
  const Turn turn(*this, members.front()->sql());
  if (!trip.may_have_company()) {
    trip.refuse_company();
    co_return;
  }
  std::exception_ptr failure;
  try {
    co_await trip.prepare();
    if (!broken) co_await trip.send();
    if (!broken) co_await trip.read();
  } catch (const Error&) {
    failure = std::current_exception();
  }
  co_await trip.leave();
  if (failure && !broken) std::rethrow_exception(std::exchange(failure, nullptr));
  trip.settle();
}

}  // namespace sluice::mysql
