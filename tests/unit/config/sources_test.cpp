// Flags over environment over file over the application's defaults over the preset over the framework's.
#include "fixture.hpp"

#include <doctest/doctest.h>

using namespace config_test;
using namespace std::chrono_literals;

TEST_CASE("each source wins over the weaker ones, and origins say which") {
  Application application = orders();
  application.defaults = {{"http.listen", "127.0.0.1:1"}, {"log.level", "error"}, {"pools.main.url", "sqlite:application.db"}};
  const Directory directory;
  const std::string file = directory.write(
      "orders.json", "{\n  \"preset\": \"test\",\n  \"http\": {\n    \"listen\": \"127.0.0.1:2\",\n    \"max_connections\": 22\n  }\n}");
  const Environment environment{{"APP_HTTP__LISTEN", "127.0.0.1:3"}};

  const Loaded all = load(application, {"--config", file, "--http.listen", "127.0.0.1:4"}, environment);
  CHECK(all.config.http.listen == "127.0.0.1:4");
  CHECK(all.origin.at("http.listen") == "flag --http.listen");
  const Loaded without_flag = load(application, {"--config", file}, environment);
  CHECK(without_flag.config.http.listen == "127.0.0.1:3");
  CHECK(without_flag.origin.at("http.listen") == "environment APP_HTTP__LISTEN");
  const Loaded without_variable = load(application, {"--config", file}, {});
  CHECK(without_variable.config.http.listen == "127.0.0.1:2");
  CHECK(without_variable.origin.at("http.listen") == "file " + file + ":4");
  CHECK(without_variable.origin.at("http.max_connections") == "file " + file + ":5");
  const Loaded without_file = load(application, {}, {});
  CHECK(without_file.config.http.listen == "127.0.0.1:1");
  CHECK(without_file.origin.at("http.listen") == "application");

  CHECK(all.config.log.level == "error");  // the application's default wins over the preset's
  CHECK(all.config.pools.at("main").acquire_timeout == 2s);
  CHECK(all.origin.at("pools.main.acquire_timeout") == "preset test");
  CHECK(all.origin.at("pools.main.idle_timeout") == "default");
}

TEST_CASE("flags take their value after a space or an equals sign; booleans need none; the last one counts") {
  const Config config =
      load_flags({"-w", "4", "--http.max-body=1MiB", "--foreground", "--mode", "thread", "--threads=2", "--workers", "-1", "--http.listen", ":0"})
          .config;
  CHECK(config.workers.first_kind == -1);
  CHECK(config.http.max_body == 1048576);
  CHECK(config.foreground);
  CHECK(config.mode == Mode::thread);
  CHECK(config.threads == 2);
  CHECK(load_flags({"-w4"}).config.workers.first_kind == 4);
  CHECK_FALSE(load_flags({"--foreground", "false"}).config.foreground);
  CHECK_FALSE(load_flags({"--foreground=no"}).config.foreground);
  CHECK(load_flags({"--foreground", "--threads", "3"}).config.threads == 3);
}

TEST_CASE("short forms: --admin ADDRESS, --log LEVEL, and the same as plain text in files") {
  CHECK(load_flags({"--admin", "off"}).config.admin.listen == "off");
  CHECK(load_flags({"--admin", "127.0.0.1:9"}).config.admin.listen == "127.0.0.1:9");
  CHECK(load_flags({"--log", "debug"}).config.log.level == "debug");
  CHECK(load_file("a.json", R"({"admin": "off", "log": "error"})").config.admin.listen == "off");
  CHECK(load_file("a.json", R"({"admin": "off", "log": "error"})").config.log.level == "error");
  CHECK(load_file("a.yaml", "admin: off\nlog: debug\n").config.admin.listen == "off");
  CHECK(load_file("a.yaml", "log: {level: debug, format: json}\n").config.log.format == "json");
  CHECK(load_flags({}, {{"APP_ADMIN", "off"}}).config.admin.listen == "off");
}

TEST_CASE("variables: two underscores between segments, no difference of case, dashes as underscores") {
  const Loaded loaded = load_flags({"--pools.My-Pool.url", "sqlite:x.db"},
                                   {{"APP_POOLS__MY_POOL__MAX", "8"}, {"app_graceful_timeout", "7s"}, {"APP_POOLS__NEW__URL", "sqlite:n.db"}});
  CHECK(loaded.config.pools.size() == 2);
  CHECK(loaded.config.pools.at("My-Pool").max == 8U);
  CHECK(loaded.origin.at("pools.My-Pool.max") == "environment APP_POOLS__MY_POOL__MAX");
  CHECK(loaded.config.graceful_timeout == 7s);
  CHECK(loaded.config.pools.at("new").url == "sqlite:n.db");
  CHECK(load_flags({}, {{"APP_WORKERS", ""}}).origin.at("workers") == "default");

  Application application = orders();
  application.environment_prefix = "SHOP_";
  CHECK(load_flags({}, {{"SHOP_MODE", "thread"}, {"APP_MODE", "nonsense"}}, application).config.mode == Mode::thread);
}

TEST_CASE("DATABASE_URL sets pools.main.url if neither flag, variable nor file does") {
  const Environment environment{{"DATABASE_URL", "postgres://h/db"}};
  Application application = orders();
  application.defaults = {{"pools.main.url", "sqlite:application.db"}};
  CHECK(load_flags({}, environment, application).config.pools.at("main").url == "postgres://h/db");
  CHECK(load_flags({}, environment, application).origin.at("pools.main.url") == "environment DATABASE_URL");
  CHECK(load_flags({"--pools.main.url", "sqlite:flag.db"}, environment).config.pools.at("main").url == "sqlite:flag.db");
  CHECK(load_file("a.json", R"({"pools": {"main": {"url": "sqlite:file.db"}}})", {}, environment).config.pools.at("main").url == "sqlite:file.db");
  CHECK(load_flags({}, {{"DATABASE_URL", ""}}).config.pools.empty());
}

TEST_CASE("APP_CONFIG names the file where --config does not") {
  const Directory directory;
  const std::string one = directory.write("one.yaml", "name: one\n"), two = directory.write("two.yaml", "name: two\n");
  CHECK(load_flags({}, {{"APP_CONFIG", one}}).config.name == "one");
  CHECK(load_flags({"--config", two}, {{"APP_CONFIG", one}}).config.name == "two");
}

TEST_CASE("files may hold comments, variables, empty pools' sections, and worker counts in three forms") {
  const Loaded loaded = load_file("a.jsonc", R"(// head
{
  /* workers
     by kind */
  "workers": {"web": 4, "jobs": "auto"},
  "http": {}, // nothing
  "pools": {"main": {"url": "sqlite:${NAME:-orders}.db", "max": "${MAX}", "queue_limit": null}}
})",
                                  {}, {{"MAX", "3"}});
  CHECK(loaded.config.workers.kinds.at("web") == 4);
  CHECK(loaded.config.workers.kinds.at("jobs") == WorkerCounts::automatic);
  CHECK(loaded.config.pools.at("main").url == "sqlite:orders.db");
  CHECK(loaded.config.pools.at("main").max == 3U);
  CHECK_FALSE(loaded.config.pools.at("main").queue_limit.has_value());
  CHECK(load_file("a.yaml", "workers: 3\n").config.workers.first_kind == 3);
  CHECK(load_file("a.yml", "workers: web=2\n").config.workers.kinds.at("web") == 2);
  CHECK(load_file("a.yaml", "# nothing\n").config.pools.empty());
  CHECK(load_file("a.json", "{}").config.pools.empty());
}

TEST_CASE("YAML anchors and merges work, and lines are those of the keys") {
  const Directory directory;
  const std::string file =
      directory.write("a.yaml", "pools:\n  main: &base\n    url: sqlite:a.db\n    max: 4\n  second:\n    <<: *base\n    max: 5\n");
  const Loaded loaded = load_flags({"--config", file});
  CHECK(loaded.config.pools.at("second").url == "sqlite:a.db");
  CHECK(loaded.config.pools.at("second").max == 5U);
  CHECK(loaded.config.pools.at("main").max == 4U);
  CHECK(loaded.origin.at("pools.second.max") == "file " + file + ":7");
}

TEST_CASE("a secret may be the content of a file, without its last newline") {
  const Directory directory;
  const std::string token = directory.write("token", "s3cret-of-some-length\n"), url = directory.write("url", "postgres://u:p@h/db\r\n");
  const Loaded loaded = load_flags({"--admin.token_file", token, "--pools.main.url-file=" + url});
  CHECK(loaded.config.admin.token == "s3cret-of-some-length");
  CHECK(loaded.config.pools.at("main").url == "postgres://u:p@h/db");
  CHECK(loaded.origin.at("admin.token") == "flag --admin.token_file");
  CHECK(load_flags({"--admin-token-file", token}).config.admin.token == "s3cret-of-some-length");
  CHECK(load_flags({}, {{"APP_ADMIN__TOKEN_FILE", token}}).config.admin.token == "s3cret-of-some-length");
  CHECK(load_file("a.json", R"({"admin": {"token_file": ")" + token + "\"}}").config.admin.token == "s3cret-of-some-length");
  // A stronger source wins over a weaker one's file.
  CHECK(load_flags({}, {{"APP_ADMIN__TOKEN", "other"}, {"APP_PRESET", "test"}}).config.admin.token == "other");
  CHECK(contains(refusal({"--admin.token_file", directory.path() + "/none"}), "cannot be read (No such file"));
  CHECK(contains(refusal({"--admin.token_file", directory.path()}), "directory"));
  CHECK(contains(refusal({"--admin.token_file", directory.write("empty", "\n")}), "is empty"));
  CHECK(contains(refusal({}, {{"APP_ADMIN__TOKEN", "a"}, {"APP_ADMIN__TOKEN_FILE", token}}), "keep one"));
}

TEST_CASE("the application's own options become one JSON object, laid over each other key by key") {
  const Loaded loaded =
      load_file("a.yaml", "app:\n  mail:\n    sender: a@b\n    retries: 3\n    hosts: [x, y]\n  title: \"5\"\n  routes:\n    a.example: 1\n",
                {"--app.mail.sender", "c@d", "--app.limit", "7"}, {{"APP_APP__MAIL__RETRIES", "4"}, {"APP_APP__FRESH", "true"}});
  CHECK(loaded.config.app_json ==
        R"({"fresh":true,"limit":7,"mail":{"hosts":["x","y"],"retries":4,"sender":"c@d"},"routes":{"a.example":1},"title":"5"})");
  CHECK(loaded.origin.at("app.mail.sender") == "flag --app.mail.sender");
  CHECK(load_flags({}).config.app_json == "{}");
  CHECK(load_file("a.json", R"({"app": {"a": {"b": 1}}})", {"--app.a", "2"}).config.app_json == R"({"a":2})");
  CHECK(load_file("a.json", R"({"app": {"a": 1}})", {"--app.a.b", "2"}).config.app_json == R"({"a":{"b":2}})");
}

TEST_CASE("help and the like look at nothing else; check and print load the configuration") {
  CHECK(load_flags({"--nonsense", "--help"}).action == Action::help);
  CHECK(load_flags({"-h"}).action == Action::help);
  CHECK(load_flags({"--version", "--config", "/none.json"}).action == Action::version);
  CHECK(load_flags({"--print-schema"}).action == Action::print_schema);
  CHECK(load_flags({"--print-reference"}).action == Action::print_reference);
  CHECK(load_flags({"--check-config"}).action == Action::check_config);
  CHECK(load_flags({"--print-config"}).action == Action::print_config);
  CHECK(load_flags({}).action == Action::run);
  CHECK(refusal({"--check-config", "--threads", "x"}) != "");
}
