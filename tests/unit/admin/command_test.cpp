#include <sluice/admin/command.hpp>

#include <sluice/core/error.hpp>

#include "sample.hpp"

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::admin;
using nlohmann::json;

namespace {

std::string refused(const shm::Segment& segment, const json& body) {
  try {
    scale_command(segment, body);
  } catch (const ExitError& e) {
    CHECK(e.code() == ExitCode::usage);
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("scale becomes a message with the kind's index") {
  const auto segment = test::sample_segment();
  const shm::Message plain = scale_command(segment, {{"value", 8}});
  CHECK(plain.type == shm::MessageType::scale);
  CHECK(plain.slot == 0);
  CHECK(plain.value == 8);
  CHECK(plain.flag == 0);
  const shm::Message relative = scale_command(segment, {{"kind", "jobs"}, {"value", -2}, {"relative", true}});
  CHECK(relative.slot == 1);
  CHECK(relative.value == -2);
  CHECK(relative.flag == 1);
}

TEST_CASE("a scale that makes no sense is refused with what is wrong") {
  const auto segment = test::sample_segment();
  const auto has = [&](const json& body, const char* part) {
    const std::string message = refused(segment, body);
    INFO(message);
    CHECK(message.find(part) != std::string::npos);
  };
  has({{"kind", "wep"}, {"value", 1}}, "did you mean \"web\"? This application has: web, jobs");
  has({{"kind", 3}, {"value", 1}}, "\"kind\" must be a string");
  has(json::object(), "\"value\" is missing");
  has({{"value", "8"}}, "\"value\" must be an integer");
  has({{"value", 1.5}}, "\"value\" must be an integer");
  has({{"value", -1}}, "must not be negative");
  has({{"value", 18446744073709551615ULL}}, "between");
  has({{"value", -9000000000LL}, {"relative", true}}, "between");
  has({{"value", 1}, {"relative", 1}}, "\"relative\" must be true or false");
  has({{"valeu", 1}}, "did you mean \"value\"?");
  has(json::array({1}), "must be a JSON object");
}

TEST_CASE("a restart becomes a message: every worker, a kind, or a slot") {
  const auto segment = test::sample_segment();
  CHECK(restart_command(segment, json()).flag == 0);
  CHECK(restart_command(segment, json::object()).flag == 0);
  CHECK(restart_command(segment, json::object()).type == shm::MessageType::restart);
  const shm::Message kind = restart_command(segment, {{"kind", "jobs"}});
  CHECK(kind.flag == 1);
  CHECK(kind.slot == 1);
  const shm::Message slot = restart_command(segment, {{"slot", 2}});
  CHECK(slot.flag == 2);
  CHECK(slot.slot == 2);
  const auto has = [&](const json& body, const char* part) {
    std::string message = "accepted";
    try {
      restart_command(segment, body);
    } catch (const ExitError& e) {
      CHECK(e.code() == ExitCode::usage);
      message = e.what();
    }
    INFO(message);
    CHECK(message.find(part) != std::string::npos);
  };
  has({{"kind", "wep"}}, "did you mean \"web\"?");
  has({{"slot", -1}}, "\"slot\" must be the number of a worker");
  has({{"slot", 100000}}, "\"slot\" must be the number of a worker");
  has({{"slot", "2"}}, "\"slot\" must be the number of a worker");
  has({{"slot", 2}, {"kind", "web"}}, "exclude each other");
  has({{"slto", 2}}, "did you mean \"slot\"?");
  has(json::array({1}), "must be a JSON object");
}

TEST_CASE("a budget becomes a message with the server's index, auto one with zero") {
  const auto segment = test::sample_segment();
  const shm::Message number = budget_command(segment, {{"server", segment.servers()[1].name}, {"total", 30}});
  CHECK(number.type == shm::MessageType::set_budget);
  CHECK(number.slot == 1);
  CHECK(number.value == 30);
  CHECK(budget_command(segment, {{"server", "main"}, {"total", "auto"}}).value == 0);
}

TEST_CASE("a budget that makes no sense is refused with what is wrong, an unknown server with the known ones") {
  const auto segment = test::sample_segment();
  const auto has = [&](const json& body, const char* part) {
    std::string message = "accepted";
    try {
      budget_command(segment, body);
    } catch (const ExitError& e) {
      CHECK(e.code() == ExitCode::usage);
      message = e.what();
    }
    INFO(message);
    CHECK(message.find(part) != std::string::npos);
  };
  has({{"server", "mian"}, {"total", 8}}, "unknown server \"mian\"; did you mean \"main\"? This instance has: main, ");
  has({{"server", "elsewhere"}, {"total", 8}}, "unknown server \"elsewhere\". This instance has: main, ");
  has({{"total", 8}}, "\"server\" must name a server");
  has({{"server", "main"}}, "\"total\" is missing");
  has({{"server", "main"}, {"total", 0}}, "between 1 and");
  has({{"server", "main"}, {"total", -3}}, "between 1 and");
  has({{"server", "main"}, {"total", 18446744073709551615ULL}}, "between 1 and");
  has({{"server", "main"}, {"total", "many"}}, "or \"auto\"");
  has({{"server", "main"}, {"total", 2.5}}, "must be a number");
  has({{"server", "main"}, {"totla", 8}}, "did you mean \"total\"?");
}

TEST_CASE("stop is graceful unless it is said to be fast") {
  CHECK(stop_command(json()).flag == 0);
  CHECK(stop_command(json::object()).flag == 0);
  CHECK(stop_command({{"fast", true}}).flag == 1);
  CHECK(stop_command({{"fast", true}}).type == shm::MessageType::stop_instance);
  CHECK_THROWS_AS(stop_command({{"force", true}}), ExitError);
}

TEST_CASE("exit codes have their HTTP status") {
  CHECK(status_for(64) == 400);
  CHECK(status_for(69) == 503);
  CHECK(status_for(75) == 503);
  CHECK(status_for(78) == 409);
  CHECK(status_for(70) == 500);
  CHECK(status_for(-5) == 500);
}
