// A configuration reaches an executed process as it was.
#include "fixture.hpp"

#include <sluice/config/table.hpp>
#include <sluice/config/transfer.hpp>
#include <sluice/core/error.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

#include <cerrno>

using namespace config_test;
using namespace std::chrono_literals;

namespace {

// A value that no option has by default.
Value other_than(const Option& option, const Value& before) {
  if (option.type == Type::choice || option.type == Type::boolean) {
    if (std::holds_alternative<bool>(before)) return !std::get<bool>(before);
    for (const std::string_view choice : option.choices)
      if (choice != format_value(option, before)) return std::string(choice);
  }
  if (option.type == Type::workers) return WorkerCounts{7, {{"jobs", 3}, {"web", -1}}};
  if (option.type == Type::duration) return sluice::Duration(1234567891);
  if (option.type == Type::number) return 0.1 + 0.2;
  if (option.type == Type::integer || option.type == Type::bytes) return std::uint64_t{18'446'744'073ULL} % 4'000'000'000ULL;
  return std::string("p\xff\0:@ 12:\n§", 11);
}

}  // namespace

TEST_CASE("every option of every pool and server arrives as it was sent, whatever its bytes") {
  Config sent;
  sent.app_json = R"({"mail": {"sender": "a@b"}})";
  for (const Option& option : options()) {
    if (option.type == Type::json) continue;
    const bool keyed = option.name.find('<') != std::string_view::npos;
    for (const std::string& key : keyed ? std::vector<std::string>{"main", "other"} : std::vector<std::string>{""})
      option.access.set(sent, key, other_than(option, option.access.get(sent, key)));
  }
  const Config received = unpack(pack(sent));
  CHECK(received.app_json == sent.app_json);
  CHECK(received.pools.size() == 2);
  CHECK(received.pools.at("other").name == "other");
  int compared = 0;
  for (const Option& option : options()) {
    for (const std::string& key : keys_of(option, sent)) {
      INFO(option.name << " " << key);
      CHECK(pack(received) == pack(sent));
      CHECK((option.access.get(received, key).index() == option.access.get(sent, key).index()));
      ++compared;
    }
  }
  CHECK(compared > 100);
  CHECK(received.pools.at("main").url == sent.pools.at("main").url);
  CHECK(received.workers.kinds == sent.workers.kinds);
}

TEST_CASE("what nobody set stays unset") {
  const Config received = unpack(pack(load_flags({"--pools.main.url", "sqlite:a.db"}).config));
  CHECK_FALSE(received.pools.at("main").max);
  CHECK(received.pools.at("main").server == "main");
  CHECK(received.servers.at("main").total == 256);
}

TEST_CASE("the file that carries a configuration can be read again and again, and changed by nobody") {
  const Config sent = load_flags({"--pools.main.url", "sqlite:a.db", "--max_workers", "7"}).config;
  const sluice::Descriptor file = to_memory(sent);
  CHECK(from_memory(file.get()).max_workers == 7);
  CHECK(from_memory(file.get()).max_workers == 7);
  CHECK(::pwrite(file.get(), "x", 1, 0) == -1);
  CHECK(errno == EPERM);
  CHECK(::ftruncate(file.get(), 0) == -1);
}

TEST_CASE("bytes that are no configuration are refused") {
  const std::string packed = pack(Config{});
  for (const std::string& wrong : {std::string(), std::string("5:hello"), packed.substr(0, packed.size() - 1), "9999:" + packed, std::string("x")})
    CHECK_THROWS_AS(unpack(wrong), sluice::Error);
}
