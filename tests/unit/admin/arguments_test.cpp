#include <sluice/admin/arguments.hpp>

#include <sluice/core/error.hpp>

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::admin;

namespace {

template <class Call>
std::string refused(Call call) {
  try {
    call();
  } catch (const ExitError& e) {
    CHECK(e.code() == ExitCode::usage);
    return e.what();
  }
  return "accepted";
}
std::string refused(const std::vector<std::string>& arguments) {
  return refused([&] { parse_arguments(arguments); });
}

}  // namespace

TEST_CASE("options stand before or after the command, with a space or an equals sign") {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"status", "--json", "--control", "/x.sock", "--timeout", "250ms"},
                                                    {"--control=/x.sock", "--timeout=250ms", "--json", "status"}}) {
    const Invocation asked = parse_arguments(arguments);
    CHECK(asked.command == "status");
    CHECK(asked.json);
    CHECK(asked.control == "/x.sock");
    CHECK(asked.timeout == 250ms);
    CHECK_FALSE(asked.help);
  }
}

TEST_CASE("a negative number is a value, not an option") {
  const Invocation asked = parse_arguments({"scale", "-2", "--json"});
  CHECK(asked.values == std::vector<std::string>{"-2"});
  CHECK(asked.json);
}

TEST_CASE("what cannot be meant is refused with a hint") {
  CHECK(refused({"statsu"}).find("did you mean \"status\"?") != std::string::npos);
  CHECK(refused({"status", "--jsn"}).find("did you mean \"--json\"?") != std::string::npos);
  CHECK(refused({"status", "--fast"}) == "option --fast does not go with \"status\"");
  CHECK(refused({"status", "--json=1"}) == "option --json takes no value");
  CHECK(refused({"status", "extra"}).find("does not take \"extra\"") != std::string::npos);
  CHECK(refused({"scale"}).find("needs a value") != std::string::npos);
  CHECK(refused({"status", "--control"}) == "option --control needs a value");
  CHECK(refused({"status", "--control="}).find("path of a control socket") != std::string::npos);
  CHECK(refused({"status", "--timeout", "5"}).find("--timeout \"5\"") != std::string::npos);
  CHECK(refused({"status", "--timeout", "0s"}).find("longer than 0s") != std::string::npos);
  CHECK(refused({"--json"}).find("a command is missing") != std::string::npos);
  CHECK(refused({"help", "nonsense"}).find("unknown command") != std::string::npos);
}

TEST_CASE("help is asked for in every usual way") {
  CHECK(parse_arguments({}).help);
  CHECK(parse_arguments({"--help"}).help);
  CHECK(parse_arguments({"-h"}).help);
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"help", "scale"}, {"scale", "--help"}, {"--help", "scale"}}) {
    const Invocation asked = parse_arguments(arguments);
    CHECK(asked.help);
    CHECK(asked.command == "scale");
  }
}

TEST_CASE("help names every command, and each command's own options") {
  const std::string all = help_text("orders ctl", "");
  for (const char* command : {"status", "workers", "pools", "permits", "statements", "scale", "restart", "stop", "metrics", "health"}) {
    CHECK(all.find(std::string("\n  ") + command + " ") != std::string::npos);
    CHECK(help_text("orders ctl", command).find(std::string("usage: orders ctl ") + command) == 0);
  }
  CHECK(help_text("sluicectl", "stop").find("[--fast]") != std::string::npos);
  CHECK(help_text("sluicectl", "scale").find("[kind=]N") != std::string::npos);
}

TEST_CASE("a restart is of every worker, of a kind or of a slot") {
  const auto target = [](std::vector<std::string> values) {
    Invocation asked;
    asked.command = "restart";
    asked.values = std::move(values);
    return parse_restart(asked);
  };
  CHECK(target({}).kind == "");
  CHECK_FALSE(target({}).slot);
  CHECK(target({"web"}).kind == "web");
  CHECK(target({"3"}).slot == 3u);
  CHECK(target({"3"}).kind == "");
  for (const char* word : {"", "-2", "99999999999999999999"}) {
    INFO(word);
    CHECK(refused([&] { target({word}); }) != "accepted");
  }
  CHECK(refused({"restart", "web", "3"}).find("does not take \"3\"") != std::string::npos);
  CHECK(refused({"restart", "--fast"}).find("--fast") != std::string::npos);
}

TEST_CASE("scale targets are absolute, relative, of a kind or of the first one") {
  const auto is = [](const char* word, const char* kind, std::int64_t value, bool relative) {
    const ScaleTarget target = parse_scale(word);
    return target.kind == kind && target.value == value && target.relative == relative;
  };
  CHECK(is("8", "", 8, false));
  CHECK(is("0", "", 0, false));
  CHECK(is("+2", "", 2, true));
  CHECK(is("-2", "", -2, true));
  CHECK(is("web=8", "web", 8, false));
  CHECK(is("web=+2", "web", 2, true));
  CHECK(is("jobs=-1", "jobs", -1, true));
  for (const char* word : {"", "web", "web=", "=8", "8x", "+", "-", "+-2", "--2", "1.5", "99999999999999999999", "web=8=9"}) {
    INFO(word);
    CHECK(refused([&] { parse_scale(word); }) != "accepted");
  }
}
