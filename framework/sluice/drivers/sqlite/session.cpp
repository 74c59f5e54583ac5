#include <sluice/drivers/sqlite/session.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

namespace sluice::sqlite {

awaitable<void> Session::perform(ConnectionThread::Work work, Deadline deadline) {
  dirty = true;  // until the answer is here, nobody knows what state the connection is in
  const ConnectionThread::Answer answer = co_await thread_.perform(std::move(work), deadline);
  if (!answer.came) {
    if (!deadline.is_never() && deadline.passed(Clock::now())) {
      broken = true;
      throw TimedOut("SQLite did not answer for seconds past the deadline: its file system hangs");
    }
    throw boost::system::system_error(asio::error::operation_aborted);
  }
  broken = broken || thread_.broken();
  dirty = thread_.in_transaction() || thread_.altered();
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
  ConnectionThread::Work work = [](Handle& handle, const Stop&) { handle.reset(); };
  co_await perform(std::move(work), deadline);
}

awaitable<sql::Rows> Session::run(sql::Statement statement, Deadline deadline) {
  const auto rows = std::make_shared<sql::Rows>();
  ConnectionThread::Work work = [statement = std::move(statement), rows](Handle& handle, const Stop& stop) { *rows = handle.run(statement, stop); };
  co_await perform(std::move(work), deadline);
  co_return std::move(*rows);
}

awaitable<void> Session::run_script(std::string sql, Deadline deadline) {
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
