// A group's way: what Group decides, sent and read. Past libpq where every statement of it is prepared and described already, else through
// libpq's pipeline mode, in which the connection is only meanwhile.
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/drivers/postgres/group.hpp>
#include <sluice/drivers/postgres/stale_form.hpp>
#include <sluice/drivers/postgres/turn.hpp>

#include <libpq-fe.h>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace sluice::postgres {
namespace {

// How long the server may take to tell what became of a cancelled group.
constexpr Duration cancel_patience = 2s;
constexpr const char* no_word = "the server did not tell in time what became of a cancelled statement";

const std::string begin_reads = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
const std::string begin_chain = "BEGIN";
const std::string next_link = "COMMIT AND CHAIN";
const std::string last_commit = "COMMIT";

bool is_utility(const std::string& sql) { return sql == begin_reads || sql == begin_chain || sql == next_link || sql == last_commit; }

GroupKind kind_of(std::size_t members, bool chained) { return members == 1 ? GroupKind::single : chained ? GroupKind::chain : GroupKind::reads; }

}  // namespace

class PostgresSession::GroupTrip {
 public:
  GroupTrip(PostgresSession& session, std::span<sql::GroupMember* const> members, bool chained)
      : session_(session),
        connection_(session.wire_->get()),
        members_(members),
        group_(kind_of(members.size(), chained), members.size()),
        known_(members.size()) {}

  // What the session knows of its statements. To be called first.
  void look_up() {
    const auto described = [](const StatementCache::Entry* known) { return known && known->described; };
    bool all = session_.cache_.size() <= session_.cache_.capacity() && session_.line_is_free();
    if (group_.kind() == GroupKind::reads) all = all && described(find(begin_reads));
    if (group_.kind() == GroupKind::chain) all = all && described(find(begin_chain)) && described(find(next_link));
    if (group_.kind() != GroupKind::single) all = all && described(find(last_commit));
    for (std::size_t at = 0; at < members_.size(); ++at) {
      std::string joined;
      known_[at] = find(prepared_key(members_[at]->sql(), members_[at]->parameters, joined));
      all = all && described(known_[at]);
    }
    direct_ = all;
  }
  bool knows(std::size_t member) const noexcept { return known_[member] != nullptr; }

  // Queues everything; what is wrong with one statement's parameters fails that one only. Throws if libpq cannot take it.
  void send() {
    if (direct_)
      session_.line_.begin();
    else
      PQenterPipelineMode(session_.libpq(label()));
    session_.unfinished_ = true;
    if (group_.kind() == GroupKind::reads) utility(begin_reads, Sent::What::begin, Sent::nobody);
    if (group_.kind() == GroupKind::chain) utility(begin_chain, Sent::What::begin, Sent::nobody);
    const StatementCache::Entry* const link = group_.kind() == GroupKind::chain ? find(next_link) : nullptr;
    std::uint32_t before = Sent::nobody;
    for (std::uint32_t at = 0; at < members_.size(); ++at) {
      sql::GroupMember& member = *members_[at];
      try {
        session_.look(known_[at], member.sql(), member.parameters.size());
        if (group_.kind() == GroupKind::chain && before != Sent::nobody) statement(link, next_link, {}, Sent::What::commit, before);
        before = Sent::nobody;  // it has its COMMIT
        statement(known_[at], member.sql(), member.parameters, Sent::What::execute, at);
        before = at;
      } catch (const sql::SqlError& e) {
        if (e.phase() == sql::Phase::lost) throw;
        member.failure = std::current_exception();
        group_.not_sent(at);
      }
    }
    if (group_.kind() == GroupKind::reads) utility(last_commit, Sent::What::commit, Sent::nobody);
    if (group_.kind() == GroupKind::chain) utility(last_commit, Sent::What::commit, before);
    if (direct_) {
      put_sync(session_.line_.out());
    } else {
      if (group_.kind() != GroupKind::single) make_room();
      require(PQpipelineSync(connection_), last_commit);
    }
    group_.sent(Sent::What::sync);
  }

  // Until every answer was read. Returns early when the connection is lost.
  awaitable<void> read(Duration patience) {
    const TimePoint began = Clock::now();
    const TimePoint parted = group_.kind() == GroupKind::single || patience > TimePoint::max() - began ? TimePoint::max() : began + patience;
    Deadline word;
    for (;;) {
      const bool unsent = direct_ ? converse() : converse_by_libpq();
      if (group_.over()) co_return;
      const Deadline until = group_.was_cancel_asked() ? word : earlier(Deadline{parted}, soonest());
      const Wake wake = co_await session_.wire_->wait(true, unsent, until);
      if (wake == Wake::cancelled) throw boost::system::system_error(asio::error::operation_aborted);
      if (wake == Wake::ready) {
        hear();
        continue;
      }
      if (group_.was_cancel_asked()) co_return lost(std::string(no_word), std::string());
      // The whole group is at the head of its connection, so a cancel reaches nobody else's; and it is awaited until it can hit
      // nothing that comes later.
      group_.cancel_asked();
      word = Deadline::after(std::min<Duration>(session_.close_timeout_, cancel_patience));
      const bool asked = co_await cancel_on_server(connection_, word);
      if (!asked) co_return lost(std::string(no_word), std::string());
    }
  }

  // The connection is out of the pipeline. False: the server's side is not yet as it was before, restore() it.
  bool leave() {
    if (session_.broken) return true;
    if (direct_) return stale_.empty() && !session_.in_transaction();
    if (!PQexitPipelineMode(connection_)) {
      log::warning(text("postgres: a group of statements left answers behind: ", PQerrorMessage(connection_)));
      session_.broken = true;
      return true;
    }
    if (PQstatus(connection_) != CONNECTION_OK) session_.lost(nullptr, label());
    session_.answered(nullptr, last_commit);
    return stale_.empty() && !session_.in_transaction();
  }

  // No transaction, no statement that fits nothing any more.
  awaitable<void> restore() {
    if (session_.in_transaction()) {
      const Result rolled_back = co_await session_.simple("ROLLBACK", Deadline::after(cancel_patience));
      session_.check(rolled_back.get(), sql::Phase::execute, "ROLLBACK");
    }
    for (const std::string& name : stale_) {
      const Result gone = co_await session_.simple("DEALLOCATE " + name, Deadline::after(cancel_patience));
    }
  }

  void settle() {
    for (std::size_t at = 0; at < members_.size(); ++at) {
      sql::GroupMember& member = *members_[at];
      member.outcome = group_.outcome(at);
      member.unfit = group_.unfit(at);
      member.slow = group_.slow(at);
      if (member.outcome == Group::Outcome::failed && !member.failure) member.failure = lost_error(member);
      if (member.outcome != Group::Outcome::done) member.rows = sql::Rows();
    }
  }

  std::string label() const { return members_.size() == 1 ? members_.front()->sql() : text("a group of ", members_.size(), " statements"); }

 private:
  Deadline soonest() const {
    Deadline soonest;
    for (std::size_t at = 0; at < members_.size(); ++at) soonest = earlier(soonest, members_[at]->deadline);
    return soonest;
  }

  void require(int ok, const std::string& sql) { session_.sent(ok, sql); }

  StatementCache::Entry* find(const std::string& key) const { return session_.cache_.find(key); }

  void utility(const std::string& sql, Sent::What what, std::uint32_t member) { statement(find(sql), sql, {}, what, member); }

  // By its prepared form, which is made on the way if there is none: the server is known to have it only when it said so.
  void statement(const StatementCache::Entry* known, const std::string& sql, const std::vector<sql::Value>& values, Sent::What what,
                 std::uint32_t member) {
    if (direct_) {
      put_run(session_.line_.out(), known->name, values, sql);
      group_.sent(what, member);
      return;
    }
    const Parameters parameters(values, sql);
    std::string joined;
    const std::string& key = prepared_key(sql, values, joined);
    const char* name = nullptr;
    if (known) {
      name = known->name.c_str();
    } else if (session_.cache_.capacity() > 0) {
      const auto [made, is_new] = coming_.try_emplace(key);
      if (is_new) {
        made->second = text("sluice_", session_.next_statement_++);
        if (!PQsendPrepare(connection_, made->second.c_str(), sql.c_str(), parameters.count(), parameters.types())) {
          coming_.erase(made);
          require(0, sql);
        }
        group_.sent(Sent::What::prepare, member);
        preparing_.push_back(key);
      }
      name = made->second.c_str();
    }
    const int ok =
        !name ? PQsendQueryParams(connection_, sql.c_str(), parameters.count(), parameters.types(), parameters.values(), parameters.lengths(),
                                  parameters.formats(), 0)
              : PQsendQueryPrepared(connection_, name, parameters.count(), parameters.values(), parameters.lengths(), parameters.formats(), 0);
    require(ok, sql);
    group_.sent(what, member);
  }

  // Behind the COMMIT, where its failure touches nobody.
  void make_room() {
    const std::size_t size = session_.cache_.size() + coming_.size(), capacity = session_.cache_.capacity();
    if (size <= capacity) return;
    for (std::string& name : session_.cache_.victims(size - capacity)) {
      const std::string sql = "DEALLOCATE " + name;
      require(PQsendQueryParams(connection_, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0), sql);
      group_.sent(Sent::What::deallocate);
      leaving_.push_back(std::move(name));
    }
  }

  // What goes without waiting, and what has come so far. True: not all could be sent.
  bool converse_by_libpq() {
    const bool unsent = PQflush(connection_) == 1;
    take();
    if (!group_.over() && PQstatus(connection_) != CONNECTION_OK) lost(nullptr);
    return unsent;
  }

  bool converse() {
    session_.line_.send();
    try {
      while (!group_.over()) {
        const std::optional<Message> message = session_.line_.next();
        if (!message) break;
        take(*message);
      }
    } catch (const ProtocolError& e) {
      lost(std::string(e.what()), std::string("08P01"));
    }
    return session_.line_.unsent();
  }

  // A failure is not the end of reading: the server's last words may be in the buffer already.
  void hear() {
    if (!direct_) {
      PQconsumeInput(connection_);
      return;
    }
    try {
      session_.line_.receive();
    } catch (const ConnectionGone& e) {
      session_.ended_by_server();
      lost(std::string(e.what()), std::string());
    }
  }

  void take(const Message& message) {
    const Sent head = group_.head();
    switch (message.type) {
      case '2': return;  // bound
      case 'D':
        if (head.what != Sent::What::execute) throw ProtocolError("the server gives rows for a statement that has none");
        return append_row(message.body, known_[head.member]->shape, rows(head.member));
      case 'C':
      case 'I': return take_end(head, message.type == 'C' ? tag_of(message.body) : std::string_view());
      case 'E': {
        const ServerReport report = report_of(message.body);
        if (report.ends_connection()) {
          session_.ended_by_server();
          return lost(text(report.severity, ": ", report.message), report.sqlstate);
        }
        rows_.reset();
        refuse(head, report);
        while (group_.head().what != Sent::What::sync) group_.skipped();
        return;
      }
      case 'Z':
        if (head.what != Sent::What::sync) throw ProtocolError("the server is ready before it has answered");
        session_.ready(status_of(message.body));
        return group_.ok();
      case 'G':
      case 'H':
      case 'W': return meet_copy();
      default: session_.take_aside(message, label());
    }
  }

  // The end of a statement's answer: its rows have come.
  void take_end(const Sent& head, std::string_view tag) {
    if (head.what == Sent::What::sync) throw ProtocolError("the server answers more than it was asked");
    if (head.what == Sent::What::commit && tag != "COMMIT") return miss_commit();
    if (head.what == Sent::What::execute) {
      rows(head.member).affected = affected_by(tag);
      members_[head.member]->rows = sql::Rows(std::exchange(rows_, nullptr));
    }
    group_.ok();
  }

  sql::ResultSet& rows(std::uint32_t member) {
    if (!rows_) {
      rows_ = std::make_shared<sql::ResultSet>();
      rows_->columns = known_[member]->shape.names;
    }
    return *rows_;
  }

  void meet_copy() {
    log::warning("postgres: COPY was begun on a connection that several statements share; the connection is closed");
    lost(std::string("COPY was begun on it"), std::string());
  }

  // Somebody's statement had ended the transaction: nobody knows what stands.
  void miss_commit() {
    log::warning("postgres: a COMMIT was answered with something else; the connection is closed");
    lost(std::string("a COMMIT was answered with something else"), std::string());
  }

  void take() {
    for (int nothing = 0; !group_.over() && nothing < 2 && !PQisBusy(connection_);) {
      Result result(PQgetResult(connection_));
      if (!result) {
        nothing = answer_ ? 0 : nothing + 1;
        if (answer_) finish();
        continue;
      }
      nothing = 0;
      const ExecStatusType status = PQresultStatus(result.get());
      if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) return meet_copy();
      if (status != PGRES_PIPELINE_ABORTED && status != PGRES_PIPELINE_SYNC && ends_connection(result.get())) return lost(result.get());
      const bool sync = status == PGRES_PIPELINE_SYNC;
      if (sync && answer_) finish();
      if (!answer_ || PQresultStatus(answer_.get()) != PGRES_FATAL_ERROR) answer_ = std::move(result);
      if (sync) finish();
    }
  }

  // The answer to the message at the head is complete.
  void finish() {
    const Result answer = std::move(answer_);
    const Sent head = group_.head();
    const ExecStatusType status = PQresultStatus(answer.get());
    std::string key, name;
    if (head.what == Sent::What::prepare) {
      key = std::move(preparing_[prepared_++]);
    } else if (head.what == Sent::What::deallocate) {
      name = std::move(leaving_[left_++]);
    }
    if (status == PGRES_PIPELINE_ABORTED) return group_.skipped();
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) return refuse(head, report_of(answer.get()));
    if (head.what == Sent::What::commit && std::string_view(PQcmdStatus(answer.get())) != "COMMIT") return miss_commit();
    if (head.what == Sent::What::execute) take_rows(head.member, answer.get());
    if (head.what == Sent::What::prepare) {
      const bool utility = is_utility(key);
      const Traces traces = utility ? Traces() : traces_of(members_[head.member]->sql());
      session_.cache_.insert(key, coming_.at(key), true, traces.parameters);  // plain, or it would not be here
      find(key)->described = utility;                                         // as having no columns
    }
    if (head.what == Sent::What::deallocate) session_.cache_.drop(name);
    group_.ok();
  }

  void take_rows(std::uint32_t member, const pg_result* answer) {
    StatementCache::Entry* const known = known_[member];
    members_[member]->rows = sql::Rows(decode_result(answer, known ? &known->shape : nullptr));
    if (known) known->described = known->fixed();
  }

  void refuse(const Sent& head, const ServerReport& report) {
    const std::string& code = report.sqlstate;
    const bool somebodys = head.member != Sent::nobody;
    Refusal refusal;
    refusal.sqlstate = code;
    refusal.reused = somebodys && known_[head.member] != nullptr;
    refusal.expired = somebodys && members_[head.member]->deadline.passed(Clock::now());
    if (code == no_such_statement && (head.what == Sent::What::begin || head.what == Sent::What::commit)) {
      for (const std::string* sql : {&begin_reads, &begin_chain, &next_link, &last_commit}) session_.cache_.erase(*sql);  // all are gone, most likely
    }
    if (refusal.reused && head.what == Sent::What::execute && no_longer_fits(code)) forget(*members_[head.member], code);
    const std::uint32_t whose = group_.refused(refusal);
    if (whose == Sent::nobody) return;
    sql::GroupMember& member = *members_[whose];
    if (code == "57014" && group_.was_cancel_asked()) {
      member.failure = std::make_exception_ptr(
          TimedOut("the statement did not end before its deadline and was cancelled on the server: " + sql::shorten(member.sql())));
      return;
    }
    const sql::Phase phase = head.what == Sent::What::prepare   ? sql::Phase::prepare
                             : head.what == Sent::What::execute ? sql::Phase::execute
                                                                : sql::Phase::commit;
    member.failure = std::make_exception_ptr(server_error(report, phase, member.sql(), session_.show_values_));
  }

  void forget(const sql::GroupMember& member, const std::string& code) {
    std::string joined;
    const std::string& key = prepared_key(member.sql(), member.parameters, joined);
    StatementCache::Entry* const known = find(key);
    if (!known) return;
    if (code == changed_result) stale_.push_back(known->name);
    std::replace(known_.begin(), known_.end(), known, &forgotten_);
    session_.cache_.erase(key);
  }

  // `why`: a result of libpq, or a text and an SQLSTATE.
  template <class... Why>
  void lost(Why... why) {
    try {
      session_.lost(std::move(why)..., label());
    } catch (const sql::SqlError& e) {
      why_lost_ = e.what();
      code_lost_ = e.sqlstate();
    }
    group_.lost();
  }

  std::exception_ptr lost_error(const sql::GroupMember& member) const {
    const std::string shown = sql::shorten(member.sql());
    if (group_.was_cancel_asked() && member.deadline.passed(Clock::now()))
      return std::make_exception_ptr(TimedOut("the statement did not end before its deadline, and the server did not cancel it: " + shown));
    return std::make_exception_ptr(
        sql::SqlError(sql::Phase::lost, sql::Class::connection, code_lost_, 0, text(why_lost_, "; what became of this is unknown: ", shown), shown));
  }

  PostgresSession& session_;
  PGconn* connection_;
  std::span<sql::GroupMember* const> members_;
  Group group_;
  bool direct_ = false;
  Result answer_;                                        // of the head, so far
  std::shared_ptr<sql::ResultSet> rows_;                 // likewise, past libpq
  std::vector<StatementCache::Entry*> known_;            // the members' prepared forms that are older than the group
  StatementCache::Entry forgotten_;                      // stands for those that were dropped meanwhile
  std::unordered_map<std::string, std::string> coming_;  // key → name, prepared on the way
  std::vector<std::string> preparing_;                   // keys, in the order of the answers
  std::vector<std::string> leaving_;                     // names to be deallocated, likewise
  std::size_t prepared_ = 0, left_ = 0;                  // so many of them were answered
  std::vector<std::string> stale_;
  std::string why_lost_, code_lost_;
};

awaitable<void> PostgresSession::run_group(std::span<sql::GroupMember* const> members, bool chained, Duration patience) {
  GroupTrip trip(*this, members, chained);
  const Turn turn(*this, members.front()->sql());
  trip.look_up();
  if (members.size() == 1 && !trip.knows(0) && cache_.victim()) {
    // Alone it has no COMMIT of its own, behind which room could be made.
    const std::string name = *cache_.victim();
    const Result gone = co_await simple("DEALLOCATE " + name, Deadline::after(cancel_patience));
    if (PQresultStatus(gone.get()) == PGRES_COMMAND_OK || sqlstate_of(gone.get()) == no_such_statement) cache_.drop(name);
  }
  trip.send();
  co_await trip.read(patience);
  trip.settle();
  if (!trip.leave()) co_await trip.restore();
}

}  // namespace sluice::postgres
