// What a hazard's driver does in each of its operations, and what callers run on their connections meanwhile.
#pragma once

#include <support/stub_connector.hpp>

#include <array>
#include <set>
#include <string>
#include <vector>

namespace sluice::test {

inline constexpr std::array kinds = {Does::ok, Does::error, Does::slow, Does::never};
inline const char* name(Does d) {
  static constexpr const char* names[] = {"ok", "error", "slow", "never", "stuck", "deaf"};
  return names[static_cast<int>(d)];
}

struct Behaviour {
  Does connect = Does::ok, ping = Does::ok, reset = Does::ok, cancel = Does::ok, close = Does::ok;

  std::string text() const {
    return std::string("connect ") + name(connect) + ", ping " + name(ping) + ", reset " + name(reset) + ", cancel " + name(cancel) + ", close " + name(close);
  }
  // From now on. `cancel` is the business of whoever runs something: see Works.
  void rule(StubServer& server) const {
    server.connect.does = connect;
    server.ping.does = ping;
    server.reset.does = reset;
    server.close.does = close;
  }
  // Without a word about `cancel`: 256; with it: 1024.
  static std::vector<Behaviour> all(bool with_cancel) {
    std::vector<Behaviour> all;
    for (Does connect : kinds) {
      for (Does ping : kinds) {
        for (Does reset : kinds) {
          for (Does close : kinds) {
            for (Does cancel : kinds) {
              if (with_cancel || cancel == Does::ok) all.push_back({connect, ping, reset, cancel, close});
            }
          }
        }
      }
    }
    return all;
  }
};

// What callers run on their connections: it ends by itself after a while, or when the driver interrupts it, as `cancel` says.
class Works {
 public:
  Works(asio::io_context& loop, Does cancel) : loop_(loop), cancel_(cancel) {}

  awaitable<void> run(std::uint64_t session, Duration time) {
    Work work(loop_, all_, session);
    work.timer.expires_after(time);
    error_code woken;
    co_await work.timer.async_wait(asio::redirect_error(use_awaitable, woken));
    if (cancel_ == Does::slow && woken) co_await work.timer.async_wait(asio::redirect_error(use_awaitable, woken));
    if (cancel_ == Does::error && woken) throw Error("interrupted");
  }
  void interrupt(std::uint64_t session) {
    for (Work* work : all_) {
      if (work->session != session || cancel_ == Does::never) continue;
      if (cancel_ == Does::slow)
        work->timer.expires_after(1ms);  // ends the wait as well: the work looks again
      else
        work->timer.cancel();
    }
  }

 private:
  struct Work {
    Work(asio::io_context& loop, std::set<Work*>& a, std::uint64_t s) : timer(loop), all(a), session(s) { all.insert(this); }
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    ~Work() { all.erase(this); }
    asio::steady_timer timer;
    std::set<Work*>& all;
    std::uint64_t session;
  };

  asio::io_context& loop_;
  Does cancel_;
  std::set<Work*> all_;
};

}  // namespace sluice::test
