// What libpq itself can do with groups: the same statements over as many connections, without a pool, coroutines, callers, deadlines or
// rows handed out. Whatever is built on libpq stays below it.
#pragma once

#include <bench/measure.hpp>
#include <sluice/core/clock.hpp>

#include <libpq-fe.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace sluice::bench {

class BareLibpq {
 public:
  enum class Groups { reads, chained };  // in one read-only transaction; each statement in its own, by COMMIT AND CHAIN

  // `numbers`: the statement's only parameter is drawn from 1 to there.
  BareLibpq(const std::string& url, const std::string& sql, int numbers, Groups groups, std::size_t connections, int group)
      : chained_(groups == Groups::chained), numbers_(numbers), group_(group), poll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (std::size_t i = 0; i < connections; ++i) {
      Connection& c = connections_.emplace_back(PQconnectdb(url.c_str()), PQfinish);
      if (PQstatus(c.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(c.get()));
      prepare(c, "begin", chained_ ? "BEGIN" : "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY");
      prepare(c, "link", "COMMIT AND CHAIN");
      prepare(c, "commit", "COMMIT");
      prepare(c, "statement", sql);
      PQsetnonblocking(c.get(), 1);
      PQenterPipelineMode(c.get());
      epoll_event wanted{};
      wanted.events = EPOLLIN;
      wanted.data.u64 = i;
      if (::epoll_ctl(poll_, EPOLL_CTL_ADD, PQsocket(c.get()), &wanted) != 0) throw std::runtime_error("epoll_ctl");
    }
  }
  BareLibpq(const BareLibpq&) = delete;
  BareLibpq& operator=(const BareLibpq&) = delete;
  ~BareLibpq() { ::close(poll_); }

  // Statements a second.
  double run(double seconds) {
    const TimePoint began = Clock::now(), end = began + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    std::uint64_t done = 0;
    std::size_t away = connections_.size();
    for (Connection& c : connections_) send(c);
    while (away > 0) {
      epoll_event ready[16];
      const int number = ::epoll_wait(poll_, ready, 16, -1);
      const bool go_on = Clock::now() < end;
      for (int i = 0; i < number; ++i) {
        Connection& c = connections_[ready[i].data.u64];
        if (!receive(c, done)) continue;
        if (go_on)
          send(c);
        else
          --away;
      }
    }
    return static_cast<double>(done) / std::chrono::duration<double>(Clock::now() - began).count();
  }

 private:
  using Connection = std::unique_ptr<PGconn, void (*)(PGconn*)>;

  static void prepare(Connection& c, const char* name, const std::string& sql) {
    PGresult* result = PQprepare(c.get(), name, sql.c_str(), 0, nullptr);
    const bool made = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    if (!made) throw std::runtime_error(PQerrorMessage(c.get()));
  }
  static void plain(Connection& c, const char* name) { PQsendQueryPrepared(c.get(), name, 0, nullptr, nullptr, nullptr, 0); }

  void send(Connection& c) {
    plain(c, "begin");
    for (int i = 0; i < group_; ++i) {
      if (chained_ && i > 0) plain(c, "link");
      const std::string number = std::to_string(1 + random_() % static_cast<unsigned>(numbers_));
      const char* value = number.c_str();
      PQsendQueryPrepared(c.get(), "statement", 1, &value, nullptr, nullptr, 0);
    }
    plain(c, "commit");
    if (!PQpipelineSync(c.get()) || PQflush(c.get()) != 0) throw std::runtime_error("a group does not fit into the socket");
  }

  // True: the whole group is back.
  bool receive(Connection& c, std::uint64_t& done) {
    if (!PQconsumeInput(c.get())) throw std::runtime_error(PQerrorMessage(c.get()));
    while (!PQisBusy(c.get())) {
      PGresult* result = PQgetResult(c.get());
      if (!result) continue;  // between two statements
      const ExecStatusType status = PQresultStatus(result);
      if (status == PGRES_TUPLES_OK) {
        ++done;
        keep(*PQgetvalue(result, 0, 0));
      }
      PQclear(result);
      if (status == PGRES_PIPELINE_SYNC) return true;
      if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) throw std::runtime_error(PQerrorMessage(c.get()));
    }
    return false;
  }

  bool chained_;
  int numbers_, group_, poll_;
  std::minstd_rand random_{1};
  std::vector<Connection> connections_;
};

}  // namespace sluice::bench
