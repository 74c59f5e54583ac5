#include "recovery.hpp"

#include <sluice/budget/confirmation.hpp>
#include <sluice/budget/permit_table.hpp>

#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <future>
#include <utility>
#include <vector>

#include "server_sockets.hpp"
#include "story.hpp"

namespace stepkill {
namespace {

using namespace std::chrono_literals;
using sluice::Clock;
using sluice::Deadline;
namespace asio = sluice::asio;
namespace budget = sluice::budget;
namespace pool = sluice::pool;
namespace shm = sluice::shm;

constexpr sluice::Duration patience = 5s;

int not_free(const shm::Segment& segment) {
  const auto rows = segment.rows(0);
  return static_cast<int>(rows.size()) - static_cast<int>(budget::count(rows).of(budget::RowState::free));
}

}  // namespace

template <class T>
T Recovery::complete(sluice::awaitable<T> work) {
  std::future<T> result = asio::co_spawn(loop_, std::move(work), asio::use_future);
  loop_.restart();
  while (result.wait_for(0s) != std::future_status::ready) loop_.run_one();
  return result.get();
}

Recovery::Recovery(const std::string& url, int server_port, sluice::Duration authentication_timeout)
    : server_port_(server_port), authentication_timeout_(authentication_timeout) {
  sluice::config::Pool options;
  options.name = "main";
  options.url = url;
  inspector_ = pool::find_driver("postgresql")->make_inspector(options, pool::Identity{instance, "00000001", budget::janitor_slot, 1});
  complete(inspector_->open(Deadline::after(patience)));
}

Recovery::~Recovery() { complete(inspector_->close(Deadline::after(patience))); }

void Recovery::take(shm::Segment segment, std::uint64_t generation, std::string point, std::set<int> ports) {
  ruins_.push_back(Ruin{std::move(segment), generation, std::move(point), std::move(ports), Clock::now()});
}

// Never more sessions than rows, while the rows come free one by one: nobody else changes them, so the two looks are one.
void Recovery::count() {
  const ServerSockets sockets(server_port_);
  for (const Ruin& ruin : ruins_) {
    const int rows = not_free(ruin.segment);
    if (const int held = sockets.held(ruin.ports); held > rows)
      findings_ += ruin.point + ": after the kill the server holds " + std::to_string(held) + " sessions for " + std::to_string(rows) + " rows\n";
  }
}

void Recovery::look() {
  struct Look {
    Ruin* ruin;
    budget::SweepInput input;
  };
  std::vector<Look> looks;
  for (Ruin& ruin : ruins_) {
    const auto ended = [](budget::Life) { return true; };
    budget::sweep(ruin.segment.rows(0), sluice::now_nanos(), false, ended);
    Look& look = looks.emplace_back(Look{&ruin, {}});
    look.input.now_nanos = sluice::now_nanos();
    look.input.authentication_timeout = authentication_timeout_;
    look.input.ended = ended;
    const auto rows = ruin.segment.rows(0);
    for (std::uint32_t i = 0; i < rows.size(); ++i) look.input.rows.push_back(budget::read(rows, i));
  }
  count();
  // The rows were read before the server is asked.
  const std::vector<pool::SeenSession> seen = complete(inspector_->sessions(Deadline::after(patience)));
  for (Look& look : looks) {
    std::vector<const pool::SeenSession*> theirs;
    for (const pool::SeenSession& session : seen) {
      if (session.identity.generation != look.ruin->generation || session.identity.slot == budget::janitor_slot) continue;
      budget::Session& shown = look.input.sessions.emplace_back();
      shown.id = session.session;
      shown.birth = session.birth;
      shown.life = budget::Life{static_cast<std::uint16_t>(session.identity.slot), session.identity.generation};
      shown.age = session.age;
      theirs.push_back(&session);
    }
    const budget::SweepPlan plan = budget::plan_sweep(look.input);
    const auto rows = look.ruin->segment.rows(0);
    for (const budget::RowView& row : plan.release) {
      if (row.session != 0 && !complete(inspector_->absent(row.session, row.session_birth, Deadline::after(patience)))) continue;
      budget::release_proven(rows[row.row], row.owner, sluice::now_nanos());
    }
    for (const std::size_t i : plan.end) ended_sessions_ += complete(inspector_->end(*theirs[i], Deadline::after(patience)));
  }
  count();
  ruins_.remove_if([this](const Ruin& ruin) {
    if (not_free(ruin.segment) > 0) return false;
    longest_ = std::max(longest_, Clock::now() - ruin.killed);
    return true;
  });
}

std::string Recovery::findings(sluice::Duration limit) const {
  std::string out = findings_;
  for (const Ruin& ruin : ruins_) {
    if (Clock::now() - ruin.killed <= limit) continue;
    out += ruin.point + ": still not free:";
    for (std::uint32_t i = 0; i < ruin.segment.rows(0).size(); ++i) {
      const budget::RowView row = budget::read(ruin.segment.rows(0), i);
      out += std::string(" ") + budget::to_text(row.owner.state) + "(session " + std::to_string(row.session) + ")";
    }
    out += "\n";
  }
  return out;
}

}  // namespace stepkill
