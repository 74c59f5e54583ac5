#include "fixture.hpp"

#include <sluice/config/table.hpp>

#include <doctest/doctest.h>
#include <set>

using namespace config_test;

TEST_CASE("every option's default is a value that the option accepts, and survives a round trip through text and Config") {
  for (const Option& option : options()) {
    if (option.type == Type::json) continue;
    CAPTURE(option.name);
    const Value value = default_of(option);
    const std::string written = format_value(option, value);
    const auto read = parse_value(option, Raw{Raw::Form::words, written});
    CAPTURE(written);
    CHECK(read.problem == "");
    Config config;
    option.access.set(config, "main", read.value);
    CHECK(format_value(option, option.access.get(config, "main")) == written);
  }
}

TEST_CASE("setting an option changes that option and no other") {
  for (const Option& changed : options()) {
    if (changed.type == Type::json) continue;
    CAPTURE(changed.name);
    std::string other;
    for (const char* candidate : {"true", "false", "3", "0.5", "7s", "2KiB", "web=2", "elsewhere:1", "text"}) {
      const auto value = parse_value(changed, Raw{Raw::Form::words, candidate});
      if (value && format_value(changed, value.value) != format_value(changed, default_of(changed))) other = candidate;
    }
    for (const auto choice : changed.choices) {
      if (choice != format_value(changed, default_of(changed))) other = choice;
    }
    REQUIRE(other != "");
    Config config;
    config.pools["main"].name = config.servers["main"].name = "main";
    changed.access.set(config, "main", parse_value(changed, Raw{Raw::Form::words, other}).value);
    CHECK(format_value(changed, changed.access.get(config, "main")) != format_value(changed, default_of(changed)));
    for (const Option& option : options()) {
      if (&option == &changed) continue;
      CAPTURE(option.name);
      CHECK(format_value(option, option.access.get(config, "main")) == format_value(option, default_of(option)));
    }
  }
}

TEST_CASE("names, aliases and short flags are unique, and every option has a sentence") {
  std::set<std::string_view> names;
  std::set<char> letters;
  for (const Option& option : options()) {
    CAPTURE(option.name);
    CHECK(names.insert(option.name).second);
    if (!option.alias.empty()) CHECK(names.insert(option.alias).second);
    if (option.short_flag != 0) CHECK(letters.insert(option.short_flag).second);
    CHECK((option.doc.ends_with('.') && option.doc.find('\n') == std::string_view::npos));
  }
}

TEST_CASE("where a number or a duration may be 0, the table says what that means") {
  for (const Option& option : options()) {
    const bool counted = option.type == Type::integer || option.type == Type::number || option.type == Type::duration || option.type == Type::bytes;
    if (!counted || option.low > 0) continue;
    CAPTURE(option.name);
    CHECK_FALSE(option.zero.empty());
  }
}

TEST_CASE("preset values are values that the option accepts") {
  for (const Option& option : options()) {
    for (const std::string_view value : {option.development, option.test}) {
      if (value.empty()) continue;
      CAPTURE(option.name);
      CHECK(parse_value(option, Raw{Raw::Form::words, std::string(value)}).problem == "");
    }
  }
}

TEST_CASE("an option is found by its exact name in files, with dashes in flags, without case in variables") {
  CHECK(find_option("pools.main.max", Spelling::exact)->key == "main");
  CHECK(find_option("pools.main.max", Spelling::exact)->name() == "pools.main.max");
  CHECK(find_option("pools.my-pool.acquire-timeout", Spelling::flag)->name() == "pools.my-pool.acquire_timeout");
  CHECK_FALSE(find_option("pools.main.acquire-timeout", Spelling::exact));
  CHECK(find_option("pools.main.tls.mode", Spelling::exact)->option->name == "pools.<name>.tls.mode");
  CHECK(find_option("admin", Spelling::flag)->name() == "admin.listen");
  CHECK(find_option("log", Spelling::exact)->name() == "log.level");
  CHECK(find_option("admin-token-file", Spelling::flag)->from_file);
  CHECK(find_option("admin.token_file", Spelling::exact)->name() == "admin.token");
  CHECK_FALSE(find_option("log.level_file", Spelling::exact));
  CHECK_FALSE(find_option("pools.main", Spelling::exact));
  CHECK_FALSE(find_option("pools.ma in.max", Spelling::exact));
  CHECK_FALSE(find_option("http.listen.more", Spelling::exact));
  CHECK(find_option("app.mail.sender", Spelling::exact)->key == "mail.sender");
}

TEST_CASE("sections are told from options") {
  for (const char* name : {"pools", "pools.main", "pools.main.tls", "servers", "http", "admin", "app"}) {
    CAPTURE(name);
    CHECK(is_section(name));
  }
  for (const char* name : {"pools.main.max", "http.listen", "nothing", "workers"}) {
    CAPTURE(name);
    CHECK_FALSE(is_section(name));
  }
}

TEST_CASE("suggestions stay in the section that was meant") {
  CHECK(suggestion("pools.main.mux") == "pools.main.max");
  CHECK(suggestion("pool.main.max") == "pools.main.max");
  CHECK(suggestion("worker") == "workers");
  CHECK(suggestion("http.lisen") == "http.listen");
  CHECK(suggestion("http.colour_scheme") == "");
  CHECK(suggestion("completely_different_thing") == "");
}

TEST_CASE("limits are part of the option: just inside is accepted, just outside refused with the range") {
  const auto check = [](const std::string& name, const char* good, const char* bad, const char* range) {
    const Option& option = option_named(name);
    CAPTURE(name);
    CHECK(parse_value(option, Raw{Raw::Form::words, good}));
    const auto refused = parse_value(option, Raw{Raw::Form::words, bad});
    CHECK_FALSE(refused);
    CHECK(contains(refused.problem, range));
  };
  check("max_workers", "1", "0", "from 1 to 1024");
  check("max_workers", "1024", "1025", "from 1 to 1024");
  check("servers.<name>.headroom", "0.999", "1", "from 0 to below 1");
  check("servers.<name>.headroom", "0", "-0.1", "from 0 to below 1");
  check("http.max_header", "1KiB", "1023", "from 1KiB to 1MiB");
  check("heartbeat.interval", "1ms", "999us", "from 1ms to 1min");
  check("http.listen", "[::1]:8080", "localhost", "host:port");
  check("http.listen", ":0", "localhost:70000", "host:port");
  check("http.listen", "unix:/run/x.sock", "unix:", "host:port");
  check("admin.listen", "off", "of", "or off");
  check("log.level", "warning", "warnin", "did you mean 'warning'");
  check("pools.<name>.queue_limit", "unbounded", "many", "\"unbounded\"");
  check("foreground", "yes", "maybe", "true or false");
}

TEST_CASE("files must use the type that the option has; variables may hold any") {
  const Option& max = option_named("pools.<name>.max");
  CHECK(contains(parse_value(max, Raw{Raw::Form::string, "8"}).problem, "write 8 without quotes"));
  CHECK(parse_value(max, Raw{Raw::Form::number, "8"}));
  CHECK(parse_value(max, Raw{Raw::Form::words, "8"}));
  CHECK(parse_value(max, Raw{Raw::Form::null, ""}));
  CHECK_FALSE(parse_value(max, Raw{Raw::Form::number, "8.5"}));
  CHECK_FALSE(parse_value(max, Raw{Raw::Form::number, "-8"}));
  CHECK_FALSE(parse_value(max, Raw{Raw::Form::list, "[8]"}));
  CHECK_FALSE(parse_value(option_named("name"), Raw{Raw::Form::number, "8"}));
  CHECK_FALSE(parse_value(option_named("name"), Raw{Raw::Form::null, ""}));
  CHECK_FALSE(parse_value(option_named("foreground"), Raw{Raw::Form::string, "true"}));
  CHECK(contains(parse_value(option_named("boot_timeout"), Raw{Raw::Form::number, "30"}).problem, "write \"30s\""));
}
