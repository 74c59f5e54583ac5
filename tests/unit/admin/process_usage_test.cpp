#include <sluice/admin/process_usage.hpp>

#include <doctest/doctest.h>

#include <sys/syscall.h>
#include <unistd.h>

using namespace sluice::admin;

TEST_CASE("a stat line is read by field number, whatever the command's name") {
  const auto usage = parse_stat("42 (a) R 1 (x) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0 100 1000000 300 18446744073709551615\n", 100, 4096);
  REQUIRE(usage);
  CHECK(usage->cpu_seconds == doctest::Approx(3.0));
  CHECK(usage->rss_bytes == 300 * 4096);
}

TEST_CASE("a line that is cut short or no stat line gives nothing") {
  CHECK_FALSE(parse_stat("", 100, 4096));
  CHECK_FALSE(parse_stat("42 (a", 100, 4096));
  CHECK_FALSE(parse_stat("42 (a) R 1 2 3", 100, 4096));
  CHECK_FALSE(parse_stat("42 (a) S 1 2 3 4 5 6 7 8 9 10 x 50 0 0 20 0 1 0 100 1000000 300\n", 100, 4096));
}

TEST_CASE("this process and its thread have usage, a process that is not there has none") {
  const auto process = read_usage(::getpid(), 0);
  REQUIRE(process);
  CHECK(process->rss_bytes > 100'000);
  CHECK(read_usage(::getpid(), ::syscall(SYS_gettid)));
  CHECK_FALSE(read_usage(::getpid(), 1 << 30));
  CHECK_FALSE(read_usage(1 << 30, 0));
  CHECK_FALSE(read_usage(0, 0));
}
