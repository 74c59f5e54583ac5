// Another run of a statement whose prepared form and columns are known, past libpq; and the turns that the two take on a connection.
#include <sluice/drivers/postgres/stale_form.hpp>
#include <sluice/drivers/postgres/turn.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>

#include <libpq-fe.h>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <utility>

namespace sluice::postgres {
namespace {

void log_notice(const ServerReport& report) { log::debug(text("postgres: ", report.severity, ": ", report.message)); }

}  // namespace

// A form that is prepared and described already goes past libpq, in this frame and with nothing described anew.
awaitable<sql::Rows> PostgresSession::run_text(const std::string& sql, std::vector<sql::Value> parameters, Deadline deadline) {
  {
    const Turn turn(*this, sql);
    std::string joined;
    const std::string& key = prepared_key(sql, parameters, joined);
    StatementCache::Entry* const known = cache_.find(key);
    if (known && known->described && line_is_free()) {
      const bool alone = !in_transaction();
      const Traces traces = look(known, sql, parameters.size());
      refuse_late(deadline, sql);
      std::string& out = line_.begin();
      put_run(out, known->name, parameters, sql);
      put_sync(out);
      note(traces);
      unfinished_ = true;
      Reply reply(deadline, known->shape);
      while (!complete(reply, sql)) {
        auto readiness = wire_->begin_wait(true, line_.unsent(), reply.patience.deadline);
        const WatchedSocket::Woken woken = co_await std::move(readiness);
        const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
        if (!hear(wire_->end_wait(woken, cancellation, reply.patience.deadline), sql)) co_await expire(sql, reply.patience);
      }
      const bool fits = !reply.error || !no_longer_fits(reply.error->sqlstate);
      std::string stale;
      if (!fits) {
        if (reply.error->sqlstate == changed_result) stale = "DEALLOCATE " + known->name;
        cache_.erase(key);
      }
      if (traces.statements) cache_.clear();
      if (fits || !alone || in_transaction()) {
        if (reply.error) refuse(*reply.error, reply.patience, sql);
        co_return sql::Rows(std::move(reply.set));
      }
      // It did not run, so it may run anew.
      if (!stale.empty()) co_await simple(std::move(stale), deadline);
    }
  }
  awaitable<sql::Rows> rows = run_anew(sql, std::move(parameters), deadline);
  co_return co_await std::move(rows);
}

// True: it is answered. What the server reports is the reply's; what ends the connection is thrown.
bool PostgresSession::complete(Reply& reply, const std::string& sql) {
  try {
    line_.send();
    while (const std::optional<Message> message = line_.next()) {
      switch (message->type) {
        case '2': break;  // bound
        case 'D': append_row(message->body, reply.shape, *reply.set); break;
        case 'C': reply.set->affected = affected_by(tag_of(message->body)); break;
        case 'I': break;  // an empty statement
        case 'E':
          reply.error = report_of(message->body);
          if (reply.error->ends_connection()) farewell_of(*reply.error, sql);
          break;
        case 'Z': ready(status_of(message->body)); return true;
        default: take_aside(*message, sql);
      }
    }
  } catch (const ProtocolError& e) {
    lost(e.what(), "08P01", sql);
  }
  return false;
}

bool PostgresSession::hear(Wake wake, const std::string& sql) {
  if (wake == Wake::cancelled) throw boost::system::system_error(asio::error::operation_aborted);
  if (wake == Wake::expired) return false;
  try {
    line_.receive();
  } catch (const ConnectionGone& e) {
    ended_by_server();
    lost(e.what(), "", sql);
  }
  return true;
}

// Nothing runs there any more that could be cancelled.
void PostgresSession::ended_by_server() noexcept {
  unfinished_ = false;
  wire_->ended_by_server();
}

void PostgresSession::farewell_of(const ServerReport& report, const std::string& sql) {
  ended_by_server();
  lost(text(report.severity, ": ", report.message), report.sqlstate, sql);
}

// What was put in by libpq comes first.
bool PostgresSession::line_is_free() const noexcept { return PQflush(wire_->get()) == 0; }

PGconn* PostgresSession::libpq(const std::string& sql) {
  try {
    while (const std::optional<Message> message = line_.next()) {
      if (message->type != 'E') {
        take_aside(*message, sql);
      } else if (const ServerReport report = report_of(message->body); report.ends_connection()) {
        farewell_of(report, sql);
      }
    }
    if (!line_.used_up()) throw ProtocolError("a message of the server stays incomplete");
  } catch (const ProtocolError& e) {
    lost(e.what(), "08P01", sql);
  }
  return wire_->get();
}

// What may come between the parts of any answer.
void PostgresSession::take_aside(const Message& message, const std::string& sql) {
  switch (message.type) {
    case 'N': log_notice(report_of(message.body)); break;
    case 'S': break;  // a setting's new value, which nobody here looks at
    case 'A': break;  // who listens does nothing else
    case 'G':
    case 'H':
    case 'W': refuse_copy(sql);
    default: throw ProtocolError(text("a message that does not belong into the server's answer (type ", static_cast<int>(message.type), ")"));
  }
}

void PostgresSession::ready(char status) noexcept {
  unfinished_ = false;
  status_ = status;
}

void PostgresSession::refuse(const ServerReport& report, const Patience& patience, const std::string& sql) const {
  if (patience.timed_out && report.sqlstate == "57014")
    throw TimedOut("the statement did not end before its deadline and was cancelled on the server: " + sql::shorten(sql));
  throw server_error(report, sql::Phase::execute, sql, show_values_);
}

}  // namespace sluice::postgres
