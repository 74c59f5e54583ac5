#include <sluice/drivers/sqlite/session.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <memory>
#include <string_view>
#include <utility>

namespace sluice::sqlite {

// Of a coroutine that may end with its loop, after the session.
struct Session::Asking {
  explicit Asking(const Session& session) noexcept : count(session.asking_) { ++*count; }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  ~Asking() { --*count; }
  std::shared_ptr<std::uint32_t> count;
};

awaitable<void> Session::perform(ConnectionThread::Work work, Deadline deadline) {
  const Asking asking(*this);
  dirty = true;  // until the answer is here, nobody knows what state the connection is in
  const ConnectionThread::Answer answer = co_await thread_.perform(std::move(work), deadline);
  accept(answer, deadline);
}

void Session::accept(const ConnectionThread::Answer& answer, Deadline deadline) {
  if (!answer.came) {
    if (!deadline.is_never() && deadline.passed(Clock::now())) {
      broken = true;
      throw TimedOut("SQLite did not answer for seconds past the deadline: its file system hangs");
    }
    throw boost::system::system_error(asio::error::operation_aborted);
  }
  broken = broken || thread_.broken();
  dirty = thread_.in_transaction() || thread_.altered() || streaming_;
  if (answer.error) std::rethrow_exception(answer.error);
}

awaitable<void> Session::open(Deadline deadline) {
  ConnectionThread::Work work = [](Handle& handle, const Stop& stop) { handle.open(stop); };
  co_await perform(std::move(work), deadline);
}

awaitable<void> Session::check(std::string validation_query, Deadline deadline) {
  ConnectionThread::Work work = [query = std::move(validation_query)](Handle& handle, const Stop& stop) { handle.check(query, stop); };
  co_await perform(std::move(work), deadline);
}

awaitable<void> Session::reset(Deadline deadline) {
  streaming_ = false;
  ConnectionThread::Work work = [](Handle& handle, const Stop&) { handle.reset(); };
  co_await perform(std::move(work), deadline);
}

void Session::refuse_while_streaming(const std::string& sql) const {
  if (!streaming_) return;
  const std::string shown = sql::shorten(sql);
  throw sql::SqlError(sql::Phase::execute, sql::Class::other, "", 0,
                      "a result is being read on this connection: read it to its end or close it first: " + shown, shown);
}

awaitable<sql::Rows> Session::run(sql::Statement statement, Deadline deadline) {
  refuse_while_streaming(statement.sql);
  const auto rows = std::make_shared<sql::Rows>();
  if (!in_transaction() && gathers(statement)) {
    auto write = std::make_shared<const sql::Statement>(std::move(statement));
    const Asking asking(*this);
    dirty = true;
    const ConnectionThread::Answer answer = co_await thread_.perform_write(std::move(write), rows, deadline);
    accept(answer, deadline);
    co_return std::move(*rows);
  }
  ConnectionThread::Work work = [statement = std::move(statement), rows](Handle& handle, const Stop& stop) { *rows = handle.run(statement, stop); };
  co_await perform(std::move(work), deadline);
  co_return std::move(*rows);
}

// The stream is the thread's; it ends with whatever the connection is asked for next, at the latest with its reset.
class Session::Source final : public sql::RowSource {
 public:
  using Piece = std::shared_ptr<const sql::ResultSet>;
  Source(Session& session, Piece first) : sql::RowSource(session), session_(session), first_(std::move(first)), ended_(!first_) {}

  awaitable<Piece> next(Deadline deadline) override {
    if (first_ || ended_) co_return std::exchange(first_, nullptr);
    const auto piece = std::make_shared<Piece>();
    ConnectionThread::Work work = [piece](Handle& handle, const Stop& stop) { *piece = handle.stream_next(stop); };
    struct Ending {
      Source& source;
      bool more = false;
      ~Ending() {
        if (!more) source.end();
      }
    } ending{*this};
    co_await session_.perform(std::move(work), deadline);
    ending.more = *piece != nullptr;
    co_return std::move(*piece);
  }

  awaitable<void> stop(Deadline deadline) override {
    ConnectionThread::Work work = [](Handle& handle, const Stop&) { handle.stream_end(); };
    if (!ended_) co_await session_.perform(std::move(work), deadline);
    end();
  }

 private:
  void end() noexcept {
    if (!std::exchange(ended_, true)) session_.streaming_ = false;
    session_.dirty = session_.thread_.in_transaction() || session_.thread_.altered();
  }

  Session& session_;
  Piece first_;
  bool ended_;
};

awaitable<std::unique_ptr<sql::RowSource>> Session::open_stream(sql::Statement statement, Deadline deadline, Deadline) {
  refuse_while_streaming(statement.sql);
  const auto first = std::make_shared<Source::Piece>();
  ConnectionThread::Work work = [statement = std::move(statement), first](Handle& handle, const Stop& stop) mutable {
    *first = handle.stream_begin(std::move(statement), stop);
  };
  co_await perform(std::move(work), deadline);
  streaming_ = *first != nullptr;
  dirty = dirty || streaming_;
  std::unique_ptr<sql::RowSource> source = std::make_unique<Source>(*this, std::move(*first));
  co_return source;
}

bool gathers(const sql::Statement& statement) noexcept {
  std::string_view sql = statement.sql;
  while (!sql.empty() && (sql.front() == ' ' || sql.front() == '\n' || sql.front() == '\t' || sql.front() == '\r')) sql.remove_prefix(1);
  for (const std::string_view word : {"INSERT", "UPDATE", "DELETE", "REPLACE"}) {
    if (sql.size() <= word.size() || (sql[word.size()] != ' ' && sql[word.size()] != '\n' && sql[word.size()] != '\t')) continue;
    bool same = true;
    for (std::size_t i = 0; i < word.size(); ++i) same = same && (sql[i] & ~0x20) == word[i];
    if (same) return true;
  }
  return false;
}

awaitable<void> Session::run_script(std::string sql, Deadline deadline) {
  refuse_while_streaming(sql);
  ConnectionThread::Work work = [script = std::move(sql)](Handle& handle, const Stop& stop) { handle.run_script(script, stop); };
  co_await perform(std::move(work), deadline);
}

awaitable<void> Session::begin(sql::TransactionOptions options, Deadline deadline) {
  ConnectionThread::Work work = [options](Handle& handle, const Stop& stop) { handle.begin(options.read_only, stop); };
  co_await perform(std::move(work), deadline);
}

awaitable<void> Session::commit(Deadline deadline) {
  ConnectionThread::Work work = [](Handle& handle, const Stop& stop) { handle.commit(stop); };
  co_await perform(std::move(work), deadline);
}

awaitable<void> Session::rollback(Deadline deadline) {
  ConnectionThread::Work work = [](Handle& handle, const Stop&) { handle.rollback(); };
  co_await perform(std::move(work), deadline);
}

}  // namespace sluice::sqlite
