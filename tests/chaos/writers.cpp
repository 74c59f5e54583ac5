#include "writers.hpp"

#include <sluice/core/error.hpp>
#include <sluice/http/client.hpp>

#include <random>
#include <string_view>

#include "support/cluster.hpp"

namespace chaos {
namespace {

using namespace std::chrono_literals;

struct Way {
  std::string_view name;
  double share;
  bool given_up;  // its write must never be seen
};
constexpr Way ways[] = {
    {"plain", 0.45, false}, {"transaction", 0.20, false}, {"slow-exit", 0.20, false}, {"abandoned", 0.10, true}, {"cancelled", 0.05, true},
};

const Way& pick(double random) {
  for (const Way& way : ways) {
    if (random < way.share) return way;
    random -= way.share;
  }
  return ways[0];
}

}  // namespace

Writers::Writers(std::uint16_t http_port, int clients, std::uint64_t seed) : http_port_(http_port) {
  for (int i = 0; i < clients; ++i) threads_.emplace_back([this, seed, i] { write(seed + static_cast<std::uint64_t>(i)); });
}

Writers::~Writers() { stop(); }

void Writers::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

void Writers::write(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  while (!stopping_) {
    const Way& way = pick(std::uniform_real_distribution<double>(0, 1)(random));
    const std::int64_t id = next_++;
    int status = 0;
    std::string words;
    try {
      const int burden = std::uniform_int_distribution<int>(0, 3)(random) == 0 ? 60 : 8;  // how slowly a session ends
      const std::string target = "/" + std::string(way.name) + "/" + std::to_string(id) + "?burden=" + std::to_string(burden);
      const auto response = sluice::http::fetch(sluice::test::local(http_port_), "POST", target, "", 10s);
      status = static_cast<int>(response.status);
      words = response.body;
    } catch (const std::exception&) {
      // Nobody answered: the write may have happened or not.
    }
    {
      const std::lock_guard lock(mutex_);
      ++statuses_[status];
      if (status >= 300) last_refusal_ = std::to_string(status) + " " + words;
      if (way.given_up)
        given_up_.push_back(id);
      else if (status >= 200 && status < 300)
        acknowledged_.push_back(id);
    }
    if (status >= 200 && status < 300)
      ++acknowledged_count_;
    else
      std::this_thread::sleep_for(10ms);  // nobody listens, or no connection: asking faster would only cost CPU time
  }
}

std::string Writers::contradictions(const std::map<std::int64_t, int>& there) const {
  std::string out;
  const auto times = [&there](std::int64_t id) {
    const auto found = there.find(id);
    return found == there.end() ? 0 : found->second;
  };
  for (const std::int64_t id : acknowledged_)
    if (times(id) == 0) out += "write " + std::to_string(id) + " was acknowledged and is lost\n";
  for (const std::int64_t id : given_up_)
    if (times(id) != 0) out += "write " + std::to_string(id) + " was given up and is there\n";
  for (const auto& [id, count] : there) {
    if (count > 1) out += "write " + std::to_string(id) + " was made " + std::to_string(count) + " times\n";
    if (id >= next_.load()) out += "write " + std::to_string(id) + " was never asked for\n";
  }
  return out;
}

std::string Writers::last_refusal() {
  const std::lock_guard lock(mutex_);
  return last_refusal_;
}

std::string Writers::answers() const {
  std::string out;
  for (const auto& [status, count] : statuses_)
    out += (out.empty() ? "" : ", ") + (status == 0 ? "none" : std::to_string(status)) + " " + std::to_string(count);
  return out;
}

}  // namespace chaos
