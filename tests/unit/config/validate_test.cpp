// Rules between options, and warnings.
#include "fixture.hpp"

#include <doctest/doctest.h>

using namespace config_test;

namespace {

std::string refused(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--pools.main.url", "postgres://h/db"});
  return refusal(arguments);
}

std::vector<std::string> warned(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--pools.main.url", "postgres://h/db"});
  return load_flags(arguments).warnings;
}

}  // namespace

TEST_CASE("a plain configuration has neither problems nor warnings") {
  CHECK(refused({}) == "");
  CHECK(warned({}).empty());
  CHECK(load_flags({}).warnings.empty());
}

TEST_CASE("minima and maxima must agree, and both sides are named") {
  CHECK(refused({"--pools.main.max", "2", "--pools.main.min_idle", "3"}) ==
        "pools.main.min_idle = 3 (flag --pools.main.min_idle): must not be more than pools.main.max = 2 (flag --pools.main.max); change one of them");
  CHECK(contains(refused({"--restart.backoff_min", "1min"}), "must not be longer than restart.backoff_max = 30s (default)"));
  CHECK(contains(refused({"--pools.main.connect_backoff_min", "1min"}), "pools.main.connect_backoff_max = 30s"));
  CHECK(contains(refused({"--heartbeat.interval", "1s", "--heartbeat.hang_timeout", "500ms"}), "must be longer than heartbeat.interval = 1s"));
  CHECK(contains(refused({"--servers.main.total", "3", "--servers.main.instances", "4"}), "must not be less than servers.main.instances"));
  CHECK(contains(refused({"--servers.main.total", "30", "--servers.main.capacity", "20"}), "must not be more than servers.main.capacity"));
}

TEST_CASE("kinds of workers must exist, and fixed counts fit the slots") {
  CHECK(contains(refused({"--workers", "wbe=2"}), "there is no kind 'wbe'; the kinds are web, jobs"));
  CHECK(contains(refused({"--workers", "webb=2"}), "did you mean 'web'?"));
  CHECK(contains(refused({"--workers", "web=40,jobs=30"}), "70 workers are more than max_workers = 64 (default)"));
  CHECK(contains(refused({"--workers", "65"}), "65 workers are more"));
  CHECK(refused({"--workers", "web=auto,jobs=64"}) == "");
}

TEST_CASE("what is not there yet, or cannot work, is refused with a sentence") {
  CHECK(contains(refused({"--servers.main.via", "proxy"}), "auto cannot ask the server through a proxy"));
  CHECK(refused({"--servers.main.via", "proxy", "--servers.main.total", "20"}) == "");
  CHECK(contains(refused({"--pools.main.tls.cert", "a.pem"}), "give pools.main.tls.key too"));
  CHECK(contains(refused({"--pools.main.server", "a b"}), "must be a name"));
  CHECK(contains(refused({"--pools.lite.url", "sqlite:a", "--pools.lite.server", "main", "--pools.main.server", "main"}), "cannot share a server"));
}

TEST_CASE("a pool needs a url with a scheme") {
  CHECK(refusal({"--pools.mian.max", "3", "--pools.main.url", "sqlite:a"}) ==
        "pools.mian.url is missing (flag --pools.mian.max sets pools.mian.max); write where to connect, such as postgres://user@host/database or "
        "sqlite:file.db; "
        "did you mean the pool 'main'?");
  const std::string keywords = refusal({"--pools.main.url", "host=h password=hunter2"});
  CHECK(contains(keywords, "must begin with a scheme"));
  CHECK_FALSE(contains(keywords, "hunter2"));
}

TEST_CASE("instance ids and control paths have limits of their own") {
  CHECK(contains(refused({"--instance", std::string(41, 'a')}), "at most 40 bytes"));
  CHECK(contains(refused({"--instance", "a b"}), "at most 40 bytes"));
  CHECK(contains(refused({"--control", "/" + std::string(107, 'a')}), "may have at most 107"));
  CHECK(refused({"--control", "/" + std::string(106, 'a')}) == "");
}

TEST_CASE("known anti-patterns are warned of, one sentence each") {
  CHECK(warned({"--pools.main.max", "1"}).size() == 1);
  CHECK(warned({"--pools.main.max", "101"}).size() == 1);
  CHECK(warned({"--pools.main.max", "100"}).empty());
  CHECK(warned({"--pools.main.acquire_timeout", "0s"}).size() == 1);
  CHECK(warned({"--pools.main.statement_timeout", "0s"}).size() == 1);
  CHECK(contains(warned({"--pools.main.queue_limit", "0"}).at(0), "queue_limit is 0"));
  CHECK(warned({"--pools.main.queue_limit", "0", "--pools.main.min_idle", "2"}).empty());
  CHECK(warned({"--pools.main.queue_limit", "1"}).empty());
  CHECK(warned({"--pools.main.soft_idle_timeout", "1h"}).size() == 1);
  CHECK(warned({"--servers.main.total", "20", "--servers.main.headroom", "0.1"}).size() == 1);
  CHECK(warned({"--servers.main.total", "20"}).empty());
  CHECK(contains(warned({"--servers.mian.total", "20"}).at(0), "did you mean servers.main?"));
  CHECK(contains(warned({"--pools.main.server", "a", "--pools.b.url", "postgres://h/", "--pools.b.server", "b"}).at(0), "their budgets add up"));
  for (const std::string& sentence : warned({"--pools.main.max", "1", "--pools.main.acquire_timeout", "0s"}))
    CHECK((sentence.ends_with('.') || sentence.ends_with('?')));
}
