#include <sluice/core/log.hpp>

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <support/eventually.hpp>

#include "stub_session.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// What is logged while it lives.
class LogFile {
 public:
  LogFile() : path_((std::filesystem::temp_directory_path() / ("sluice-log-" + std::to_string(::getpid()))).native()) {
    log::Settings settings;
    settings.file = path_;
    log::configure(settings);
  }
  ~LogFile() {
    log::configure(log::Settings());
    std::remove(path_.c_str());
  }
  std::string text() const {
    std::stringstream out;
    out << std::ifstream(path_).rdbuf();
    return out.str();
  }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("a statement is shown while it runs, with its pool and session, and not afterwards") {
  std::vector<shm::RunningStatement> entries(2);
  sql::StatementWatch watch("main", sql::StatementBoard(nullptr, entries, 7), 0s, false);
  StubSession session(std::make_shared<SqlServer>(), sql::Dialect::postgres);
  session.session = 4711;
  {
    sql::StatementWatch::Running first(watch, "SELECT 1");
    CHECK(entries[0].started_nanos.get() == 0);  // it waits for a connection
    first.on(session);
    CHECK(entries[0].started_nanos.get() > 0);
    CHECK(entries[0].text.get() == "SELECT 1");
    CHECK(entries[0].pool.get() == 7);
    CHECK(entries[0].session.get() == 4711);
    sql::StatementWatch::Running second(watch, std::string(1000, 'x'));
    second.on(session);
    CHECK(entries[1].text.get().size() == 240);
    sql::StatementWatch::Running third(watch, "SELECT 3");  // unseen: the list is full
    third.on(session);
    const sql::StatementWatch::Running moved(std::move(first));
    CHECK(entries[0].started_nanos.get() > 0);
  }
  CHECK(entries[0].started_nanos.get() == 0);
  CHECK(entries[1].started_nanos.get() == 0);
}

TEST_CASE("two pools of a slot share the entries: a text is written anew where the other one wrote, and who found all taken looks again") {
  std::vector<shm::RunningStatement> entries(1);
  sql::StatementWatch mine("main", sql::StatementBoard(nullptr, entries, 7), 0s, false);
  sql::StatementWatch other("other", sql::StatementBoard(nullptr, entries, 8), 0s, false);
  StubSession session(std::make_shared<SqlServer>(), sql::Dialect::postgres);
  for (int round = 0; round < 2; ++round) {
    {
      sql::StatementWatch::Running ours(mine, "SELECT 1");
      ours.on(session);
      CHECK(entries[0].text.get() == "SELECT 1");
      CHECK(entries[0].pool.get() == 7);
      sql::StatementWatch::Running unseen(other, "SELECT 'theirs'");
      unseen.on(session);
      CHECK(entries[0].pool.get() == 7);
    }
    sql::StatementWatch::Running theirs(other, "SELECT 'theirs'");
    CHECK(eventually(1s, [&] {  // `other` was not told that the entry is free
      theirs.on(session);
      return entries[0].started_nanos.get() != 0;
    }));
    CHECK(entries[0].text.get() == "SELECT 'theirs'");
    CHECK(entries[0].pool.get() == 8);
  }
}

TEST_CASE("an entry that a pool gives back itself shows its next statement at once") {
  std::vector<shm::RunningStatement> entries(2);
  sql::StatementWatch watch("main", sql::StatementBoard(nullptr, entries, 7), 0s, false);
  StubSession session(std::make_shared<SqlServer>(), sql::Dialect::postgres);
  std::vector<std::unique_ptr<sql::StatementWatch::Running>> running;
  for (const char* text : {"SELECT 0", "SELECT 1", "SELECT 2"}) {
    running.push_back(std::make_unique<sql::StatementWatch::Running>(watch, text));
    running.back()->on(session);
  }
  for (const std::size_t ends : {1u, 0u}) {
    running[ends].reset();
    CHECK(entries[ends].started_nanos.get() == 0);
    running[ends] = std::make_unique<sql::StatementWatch::Running>(watch, "SELECT 'next'");
    running[ends]->on(session);
    CHECK(entries[ends].started_nanos.get() != 0);
    CHECK(entries[ends].text.get() == "SELECT 'next'");
  }
}

TEST_CASE("a slow statement is logged with its time and text, its parameters only if asked for") {
  const std::vector<sql::Value> parameters{sql::encode(7), sql::encode("hunter2"), sql::encode(std::string(100, 'y')), sql::encode(nullptr)};
  StubSession session(std::make_shared<SqlServer>(), sql::Dialect::postgres);
  const LogFile log;
  const auto run = [&](Duration slow, bool log_parameters) {
    sql::StatementWatch watch("main", {}, slow, log_parameters);
    sql::StatementWatch::Running running(watch, "SELECT *\n  FROM t", &parameters);
    running.on(session);
    running.succeeded();
  };
  run(1h, true);
  run(0s, true);
  CHECK(log.text().empty());
  run(1ns, false);
  CHECK(log.text().find("slow statement on pool main: 0 ms: SELECT * FROM t\n") != std::string::npos);
  CHECK(log.text().find("hunter2") == std::string::npos);
  run(1ns, true);
  CHECK(log.text().find("SELECT * FROM t with $1=7, $2='hunter2', $3='" + std::string(64, 'y') + "…', $4=NULL\n") != std::string::npos);
}

TEST_CASE("a statement took as long as from its time with the server to its end, where that is told") {
  StubSession session(std::make_shared<SqlServer>(), sql::Dialect::postgres);
  const LogFile log;
  sql::StatementWatch watch("main", {}, 5s, false);
  const TimePoint now = Clock::now();
  {
    sql::StatementWatch::Running quick(watch, "SELECT quick");
    quick.on(session, now - 1h);
    quick.succeeded(now - 1h + 4s);
    sql::StatementWatch::Running slow(watch, "SELECT slow");
    slow.on(session, now - 1h);
    sql::StatementWatch::Running moved(std::move(slow));
    moved.succeeded(now - 1h + 6s);
  }
  CHECK(log.text().find("quick") == std::string::npos);
  CHECK(log.text().find("slow statement on pool main: 6000 ms: SELECT slow\n") != std::string::npos);
}

TEST_CASE("statements are counted when they end, as errors unless they succeeded") {
  shm::PoolStats stats{};
  sql::StatementWatch watch("main", &stats, 0s, false);
  {
    sql::StatementWatch::Running good(watch, "SELECT 1");
    good.succeeded();
    const sql::StatementWatch::Running bad(watch, "SELECT 2");
    CHECK(stats.statements.get() == 0);
  }
  CHECK(stats.statements.get() == 2);
  CHECK(stats.statement_errors.get() == 1);
}

TEST_CASE("option slow_statement: what took this long is logged") {
  config::Pool options;
  options.slow_statement = 1ns;
  const LogFile log;
  DatabaseTest t(sql::Dialect::postgres, options);
  auto body = [&]() -> awaitable<void> { co_await t.db->query("SELECT $1", "hunter2"); };
  t.run(body);
  CHECK(log.text().find("slow statement on pool main: ") != std::string::npos);
  CHECK(log.text().find(" ms: SELECT $1\n") != std::string::npos);
}

TEST_CASE("option log_parameters: the log shows values") {
  config::Pool options;
  options.slow_statement = 1ns;
  options.log_parameters = true;
  const LogFile log;
  DatabaseTest t(sql::Dialect::postgres, options);
  auto body = [&]() -> awaitable<void> { co_await t.db->query("SELECT $1", "shown"); };
  t.run(body);
  CHECK(log.text().find("SELECT $1 with $1='shown'\n") != std::string::npos);
}
