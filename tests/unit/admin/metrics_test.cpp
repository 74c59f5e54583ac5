#include <sluice/admin/metrics.hpp>

#include <sluice/admin/exposition.hpp>

#include "sample.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <sstream>

using namespace sluice;
using namespace sluice::admin;

namespace {

// What promtool says about the page: its exit status and output; nothing if it is not installed.
std::optional<std::pair<int, std::string>> promtool(const std::string& page) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) return std::nullopt;
  char path[] = "/tmp/sluice-metrics-XXXXXX";
  const int fd = ::mkstemp(path);
  REQUIRE(fd >= 0);
  REQUIRE(::write(fd, page.data(), page.size()) == static_cast<ssize_t>(page.size()));
  ::close(fd);
  std::FILE* pipe = ::popen((std::string("promtool check metrics <") + path + " 2>&1").c_str(), "r");
  REQUIRE(pipe);
  std::string out;
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
  const int status = ::pclose(pipe);
  ::unlink(path);
  return std::pair{status, out};
}

bool has_line(const std::string& page, const std::string& line) { return ("\n" + page).find("\n" + line + "\n") != std::string::npos; }

}  // namespace

TEST_CASE("promtool finds nothing to complain about") {
  const auto segment = test::sample_segment();
  const auto verdict = promtool(metrics(segment, test::sample_now, test::sample_usage));
  if (!verdict) {
    const char* required = std::getenv("SLUICE_REQUIRE_SERVERS");
    REQUIRE_MESSAGE(!(required && std::string(required) == "1"), "promtool is not installed");
    MESSAGE("skipped: promtool is not installed");
    return;
  }
  INFO(verdict->second);
  CHECK(verdict->first == 0);
  CHECK(verdict->second.empty());
}

TEST_CASE("promtool would complain about a page that is not clean") {
  const auto verdict = promtool("# TYPE a_total gauge\na_total 1\n");
  if (verdict) CHECK(verdict->first != 0);
}

TEST_CASE("the page has every family that the documentation names") {
  const auto segment = test::sample_segment();
  const std::string page = metrics(segment, test::sample_now, test::sample_usage);
  for (const char* name : {"sluice_build_info",
                           "sluice_workers",
                           "sluice_worker_exits_total",
                           "sluice_worker_restarts_total",
                           "sluice_worker_cpu_seconds_total",
                           "sluice_worker_memory_rss_bytes",
                           "sluice_worker_heartbeat_age_seconds",
                           "sluice_worker_start_time_seconds",
                           "sluice_budget_permits",
                           "sluice_budget_permits_limit",
                           "sluice_budget_sessions_ended_total",
                           "sluice_budget_permits_confirmed_total",
                           "sluice_pool_connections",
                           "sluice_pool_connections_limit",
                           "sluice_pool_pending_requests",
                           "sluice_pool_acquires_total",
                           "sluice_pool_timeouts_total",
                           "sluice_pool_connects_total",
                           "sluice_pool_connect_errors_total",
                           "sluice_pool_lost_total",
                           "sluice_pool_lent_total",
                           "sluice_pool_borrowed_total",
                           "sluice_pool_acquire_wait_seconds",
                           "sluice_pool_use_seconds",
                           "sluice_pool_create_seconds",
                           "sluice_request_duration_seconds",
                           "sluice_requests_total"}) {
    INFO(name);
    CHECK(page.find(std::string("# HELP ") + name + " ") != std::string::npos);
    CHECK(page.find(std::string("# TYPE ") + name + " ") != std::string::npos);
  }
}

TEST_CASE("samples carry the segment's numbers, by slot") {
  const auto segment = test::sample_segment();
  const std::string page = metrics(segment, test::sample_now, test::sample_usage);
  INFO(page);
  CHECK(has_line(page, R"(sluice_workers{kind="web",state="ready"} 2)"));
  CHECK(has_line(page, R"(sluice_workers{kind="jobs",state="failed"} 0)"));
  CHECK(has_line(page, R"(sluice_worker_exits_total{slot="1",kind="web",reason="signal"} 2)"));
  CHECK(has_line(page, R"(sluice_worker_cpu_seconds_total{slot="1",kind="web"} 1.5)"));
  CHECK(has_line(page, R"(sluice_worker_memory_rss_bytes{slot="4",kind="jobs"} 9000000)"));
  CHECK(has_line(page, R"(sluice_worker_heartbeat_age_seconds{slot="0",kind="web"} 0.01)"));
  CHECK(has_line(page, R"(sluice_requests_total{slot="1",kind="web"} 1000)"));
  CHECK(has_line(page, R"(sluice_budget_permits{server="main",state="leased"} 1)"));
  CHECK(has_line(page, R"(sluice_budget_permits{server="main",state="free"} 11)"));
  CHECK(has_line(page, R"(sluice_budget_permits_limit{server="main"} 13)"));
  CHECK(has_line(page, R"(sluice_budget_sessions_ended_total{server="main"} 2)"));
  CHECK(has_line(page, R"(sluice_budget_permits_confirmed_total{server="main"} 5)"));
  CHECK(has_line(page, R"(sluice_budget_sessions_ended_total{server="audit"} 0)"));
  CHECK(has_line(page, R"(sluice_pool_connections{pool="main",worker="1",state="idle"} 1)"));
  CHECK(has_line(page, R"(sluice_pool_connections_limit{pool="audit",worker="1"} 1)"));
  CHECK(has_line(page, R"(sluice_pool_acquires_total{pool="main",worker="1"} 500)"));
  CHECK(has_line(page, R"(sluice_pool_acquire_wait_seconds_bucket{pool="main",worker="1",le="+Inf"} 500)"));
  CHECK(has_line(page, R"(sluice_pool_acquire_wait_seconds_count{pool="main",worker="1"} 500)"));
  CHECK(has_line(page, R"(sluice_pool_acquire_wait_seconds_sum{pool="main",worker="1"} 0.75)"));
  CHECK(has_line(page, R"(sluice_request_duration_seconds_count{slot="1",kind="web"} 1000)"));
}

TEST_CASE("processes are never labels, and unused slots are not there") {
  const auto segment = test::sample_segment();
  const std::string page = metrics(segment, test::sample_now, test::sample_usage);
  CHECK(page.find("4001") == std::string::npos);
  CHECK(page.find("pid=") == std::string::npos);
  CHECK(page.find("slot=\"7\"") == std::string::npos);
  CHECK(page.find("worker=\"7\"") == std::string::npos);
}

TEST_CASE("a slot that is given up keeps its counters, so that sums never go back, and loses its gauges") {
  auto segment = test::sample_segment();
  segment.slots()[1].state.set(static_cast<std::uint64_t>(shm::SlotState::empty));
  segment.slots()[1].pid.set(0);
  const std::string page = metrics(segment, test::sample_now, test::sample_usage);
  CHECK(has_line(page, R"(sluice_requests_total{slot="1",kind="web"} 1000)"));
  CHECK(has_line(page, R"(sluice_pool_acquires_total{pool="main",worker="1"} 500)"));
  CHECK(page.find(R"(sluice_pool_connections{pool="main",worker="1")") == std::string::npos);
  CHECK(page.find(R"(sluice_worker_heartbeat_age_seconds{slot="1")") == std::string::npos);
}

TEST_CASE("no series comes twice") {
  const auto segment = test::sample_segment();
  std::istringstream page(metrics(segment, test::sample_now, test::sample_usage));
  std::set<std::string> series;
  for (std::string line; std::getline(page, line);) {
    INFO(line);
    if (line[0] != '#') CHECK(series.insert(line.substr(0, line.rfind(' '))).second);
  }
  CHECK(series.size() > 300);
}

TEST_CASE("labels and help texts are escaped") {
  Exposition out;
  out.family("a_total", "counter", "back\\slash and\nline");
  out.sample({{"name", "q\"b\\n\n"}}, std::uint64_t{1});
  CHECK(std::move(out).take() == "# HELP a_total back\\\\slash and\\nline\n# TYPE a_total counter\na_total{name=\"q\\\"b\\\\n\\n\"} 1\n");
}

TEST_CASE("histogram buckets are cumulative and end with the count") {
  shm::Histogram histogram;
  histogram.record(500);                // 1 µs
  histogram.record(3'000);              // 4 µs
  histogram.record(1'000'000'000'000);  // beyond the last bound
  Exposition out;
  out.family("a_seconds", "histogram", "h");
  out.histogram({}, histogram);
  const std::string page = std::move(out).take();
  INFO(page);
  CHECK(has_line(page, R"(a_seconds_bucket{le="1e-06"} 1)"));
  CHECK(has_line(page, R"(a_seconds_bucket{le="4e-06"} 2)"));
  CHECK(has_line(page, R"(a_seconds_bucket{le="67.108864"} 2)"));
  CHECK(has_line(page, R"(a_seconds_bucket{le="+Inf"} 3)"));
  CHECK(has_line(page, "a_seconds_count 3"));
}
