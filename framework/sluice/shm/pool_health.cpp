#include <sluice/shm/pool_health.hpp>

#include <sluice/core/text.hpp>

#include <algorithm>
#include <cmath>

namespace sluice::shm {
namespace {

constexpr std::int64_t window = 30'000'000'000;

// Never negative: a reader may see one cell newer than another.
std::uint64_t since(std::uint64_t earlier, std::uint64_t now) { return now > earlier ? now - earlier : 0; }
double mean_ms(std::uint64_t nanos, std::uint64_t count) { return count == 0 ? 0 : static_cast<double>(nanos) / static_cast<double>(count) / 1e6; }

// Two digits are enough for people.
std::string rounded(double value) {
  if (value >= 100) return text(static_cast<std::int64_t>(std::llround(value)));
  const double tenths = std::round(value * 10) / 10;
  return tenths == std::floor(tenths) ? text(static_cast<std::int64_t>(tenths)) : text(tenths);
}

class Judge {
 public:
  Judge(const PoolSample& earlier, const PoolSample& now) : a_(earlier), b_(now) {}

  PoolHealth run() {
    measure();
    reachability();
    waiting();
    connections();
    std::stable_sort(out_.findings.begin(), out_.findings.end(), [](const Finding& x, const Finding& y) { return x.weight > y.weight; });
    if (!out_.findings.empty()) out_.state = out_.findings.front().weight;
    return std::move(out_);
  }

 private:
  void find(HealthState weight, std::string reason, std::string recommendation = {}) {
    out_.findings.push_back({weight, std::move(reason), std::move(recommendation)});
  }

  void measure() {
    acquires_ = since(a_.acquires, b_.acquires);
    seconds_ = a_.at > 0 ? static_cast<double>(b_.at - a_.at) / 1e9 : 0;
    out_.utilization = b_.limit == 0 ? 0 : static_cast<double>(b_.leased) / static_cast<double>(b_.limit);
    out_.acquires_per_second = seconds_ > 0 ? static_cast<double>(acquires_) / seconds_ : 0;
    out_.mean_wait_ms = mean_ms(since(a_.wait_nanos, b_.wait_nanos), acquires_);
    out_.mean_use_ms = mean_ms(since(a_.use_nanos, b_.use_nanos), since(a_.uses, b_.uses));
    out_.mean_connect_ms = mean_ms(since(a_.create_nanos, b_.create_nanos), since(a_.creates, b_.creates));
    out_.needed = out_.acquires_per_second * out_.mean_use_ms / 1000;
  }

  void reachability() {
    const std::string cause = b_.last_error.empty() ? "" : text(": ", b_.last_error);
    if (b_.reachable == 2) {
      const bool none = b_.idle + b_.leased == 0;
      find(none ? HealthState::unhealthy : HealthState::degraded, text(none ? "the server is not reachable" : "the last connect failed", cause),
           none ? "callers wait and get this error in time; connecting goes on with backoff" : "");
      return;
    }
    const std::uint64_t errors = since(a_.connect_errors, b_.connect_errors), attempts = errors + since(a_.connects, b_.connects);
    if (attempts > 0 && static_cast<double>(errors) / static_cast<double>(attempts) >= failing_connects)
      find(HealthState::degraded, text(errors, " of ", attempts, " connects failed", cause));
  }

  // What would help callers who wait, by the numbers.
  std::string remedy() const {
    if (b_.limit > 0 && b_.leased + b_.connecting < b_.limit)
      return out_.mean_connect_ms > 0 ? text("a connect takes ", rounded(out_.mean_connect_ms), " ms: raise min_idle to have connections before they are wanted") : "";
    if (out_.mean_use_ms >= 1000)
      return text("a connection is held for ", rounded(out_.mean_use_ms), " ms on average: give it back before slow work, or make the statements faster");
    if (out_.needed > 0)
      return text(rounded(out_.acquires_per_second), " acquires a second × ", rounded(out_.mean_use_ms), " ms keep ", rounded(out_.needed),
                  " connections busy; the limit is ", b_.limit, ": about ", static_cast<std::uint64_t>(std::ceil(out_.needed / 0.7)),
                  " per worker are needed: raise servers.<name>.total, or scale out");
    return "raise servers.<name>.total, or hold connections for a shorter time";
  }

  void waiting() {
    const std::uint64_t timeouts = since(a_.timeouts, b_.timeouts), full = since(a_.queue_full, b_.queue_full);
    const std::uint64_t asked = acquires_ + timeouts + full;
    if (timeouts + full > 0) {
      const HealthState weight = acquires_ == 0 && b_.leased == 0 ? HealthState::unhealthy : HealthState::degraded;
      if (timeouts > 0) find(weight, text(timeouts, " of ", asked, " callers waited in vain"), remedy());
      if (full > 0) find(weight, text(full, " of ", asked, " callers were refused because the queue was full"), timeouts > 0 ? "" : remedy());
      return;
    }
    if (b_.limit == 0 && b_.waiting > 0) return find(HealthState::degraded, text(b_.waiting, " callers wait and the worker has no share of the budget yet"));
    const bool slow = out_.mean_wait_ms >= mean_wait_limit_ms;
    if (out_.utilization >= crowded && (b_.waiting > 0 || slow)) {
      find(HealthState::degraded,
           text(b_.leased, " of ", b_.limit, " connections are leased, ", b_.waiting, " callers wait, ", rounded(out_.mean_wait_ms), " ms on average"), remedy());
    } else if (slow) {
      find(HealthState::degraded, text("callers wait ", rounded(out_.mean_wait_ms), " ms on average for a connection"), remedy());
    }
  }

  void connections() {
    const std::uint64_t lost = since(a_.lost, b_.lost), leaks = since(a_.leaks, b_.leaks), connects = since(a_.connects, b_.connects);
    if (lost > 0)
      find(HealthState::degraded, text(lost, " connections were lost"), lost > 3 ? "something between here and the server cuts them: shorten keepalive or idle_timeout below its limit" : "");
    if (leaks > 0) find(HealthState::degraded, text(leaks, " leases are held for suspiciously long"), "ctl permits names the lines that hold them");
    if (connects >= 20 && acquires_ > 0 && connects * 2 > acquires_)
      find(HealthState::degraded, text(connects, " connects for ", acquires_, " acquires: connections are hardly reused"), "raise max_uses, idle_timeout or max_lifetime");
  }

  const PoolSample& a_;
  const PoolSample& b_;
  PoolHealth out_;
  std::uint64_t acquires_ = 0;
  double seconds_ = 0;
};

}  // namespace

PoolSample sample(const PoolStats& stats, std::int64_t now) {
  PoolSample out;
  out.at = now;
  out.idle = stats.idle.get();
  out.leased = stats.leased.get();
  out.connecting = stats.connecting.get();
  out.waiting = stats.waiting.get();
  out.limit = stats.limit.get();
  out.reachable = stats.reachable.get();
  out.acquires = stats.acquires.get();
  out.timeouts = stats.timeouts.get();
  out.queue_full = stats.queue_full.get();
  out.connects = stats.connects.get();
  out.connect_errors = stats.connect_errors.get();
  out.lost = stats.lost.get();
  out.leaks = stats.leaks.get();
  out.uses = stats.use_seconds.total();
  out.use_nanos = stats.use_seconds.sum_nanos.get();
  out.wait_nanos = stats.acquire_wait_seconds.sum_nanos.get();
  out.creates = stats.create_seconds.total();
  out.create_nanos = stats.create_seconds.sum_nanos.get();
  out.last_error = stats.last_error.get();
  return out;
}

PoolHealth judge(const PoolSample& earlier, const PoolSample& now) { return Judge(earlier, now).run(); }

PoolHealth HealthWindow::judge(const PoolStats& stats, std::int64_t now) {
  PoolSample current = sample(stats, now);
  // The slot's next life begins at zero again.
  if (current.acquires < newer_.acquires || current.connects < newer_.connects) older_ = newer_ = {};
  PoolHealth out = shm::judge(older_, current);
  if (newer_.at == 0 || now - newer_.at >= window) {
    older_ = std::move(newer_);
    newer_ = std::move(current);
  }
  return out;
}

}  // namespace sluice::shm
