// Every message names the option, where its value comes from, the value, what is allowed, and the remedy.
#include "fixture.hpp"

#include <doctest/doctest.h>
#include <algorithm>

using namespace config_test;

namespace {

bool is_usage_error(const std::vector<std::string>& arguments) {
  try {
    load_flags(arguments);
  } catch (const UsageError&) {
    return true;
  } catch (const ConfigError&) {
    return false;
  }
  return false;
}

}  // namespace

TEST_CASE("a wrong command line is a usage error that says what was meant") {
  CHECK(refusal({"--worker", "4"}) == "--worker: unknown flag; did you mean '--workers'?");
  CHECK(refusal({"--pools.main.mux=4"}) == "--pools.main.mux: unknown flag; did you mean '--pools.main.max'?");
  CHECK(refusal({"--check-confg"}) == "--check-confg: unknown flag; did you mean '--check-config'?");
  CHECK(contains(refusal({"--workers"}), "--workers: needs a value"));
  CHECK(contains(refusal({"--workers", "--foreground"}), "--workers: needs a value"));
  CHECK(contains(refusal({"serve"}), "'serve': unexpected argument"));
  CHECK(contains(refusal({"--http", "8080"}), "is a section; write its options with a dot, such as --http.NAME"));
  CHECK(contains(refusal({"-x"}), "-x: unknown flag"));
  CHECK(contains(refusal({"--config", "a.json", "--config", "b.json"}), "--config: given twice"));
  CHECK(contains(refusal({"--config"}), "--config: needs a value"));
  CHECK(is_usage_error({"--worker", "4"}));
  CHECK(is_usage_error({"--workers"}));
  CHECK_FALSE(is_usage_error({"--workers", "many"}));
}

TEST_CASE("an unknown flag does not turn its secret value into a message") {
  const std::string text = refusal({"--pools.main.ulr", "postgres://u:hunter2@h/db"});
  CHECK(contains(text, "did you mean '--pools.main.url'?"));
  CHECK_FALSE(contains(text, "hunter2"));
  CHECK_FALSE(contains(refusal({"postgres://u:hunter2@h/db"}), "hunter2"));
}

TEST_CASE("a wrong value is reported with option, value, origin and allowed range") {
  CHECK(refusal({"--pools.main.url", "sqlite:x", "--pools.main.max", "0"}) ==
        "pools.main.max = 0 (flag --pools.main.max): must be a whole number from 1 to 65536, or \"limit\"");
  CHECK(refusal({"--graceful_timeout", "30"}) ==
        "graceful_timeout = 30 (flag --graceful_timeout): a duration needs a unit; write \"30s\" (units: ns us ms s min h d)");
  CHECK(refusal({}, {{"APP_MODE", "fork"}}) == "mode = fork (environment APP_MODE): must be one of process, thread");
  CHECK(file_refusal("a.json", "{\n\n  \"http\": {\n    \"max_connections\": \"many\"}}") ==
        "http.max_connections = many (file a.json:4): must be a whole number from 1 to 1000000");
  CHECK(file_refusal("a.yaml", "http:\n  header_timeout: 5\n") ==
        "http.header_timeout = 5 (file a.yaml:2): a duration needs a unit; write \"5s\" (units: ns us ms s min h d)");
}

TEST_CASE("unknown keys of files are errors with their line and the nearest option") {
  CHECK(file_refusal("a.json", "{\n  \"http\": {\"listn\": \":1\"}\n}") == "http.listn (file a.json:2): unknown option; did you mean 'http.listen'?");
  CHECK(file_refusal("a.yaml", "pools:\n  main:\n    url: sqlite:x\n    maximum: 3\n") ==
        "pools.main.maximum (file a.yaml:4): unknown option; --help lists all");
  CHECK(contains(file_refusal("a.json", R"({"http": 5})"), "http (file a.json:1): is a section"));
  CHECK(contains(file_refusal("a.json", R"({"pools": []})"), "pools (file a.json:1): is a section"));
  CHECK(contains(file_refusal("a.json", R"({"pools.main.max": 3})"), "nest objects"));
}

TEST_CASE("syntax errors give line and column and quote nothing of the file") {
  const std::string json = file_refusal("a.json", "{\n  \"admin\": {\"token\": \"hunter2\" \"x\"}\n}");
  CHECK(contains(json, "file a.json:2: not valid JSON at column"));
  CHECK_FALSE(contains(json, "hunter2"));
  CHECK_FALSE(contains(file_refusal("a.json", "{\"admin\": {\"token\": hunter2}}"), "hunter2"));
  CHECK_FALSE(contains(file_refusal("a.json", "{\"token\": \"hunter2"), "hunter2"));
  CHECK(contains(file_refusal("a.json", ""), "file a.json:1: not valid JSON"));
  CHECK(contains(file_refusal("a.yaml", "a: [1\nb: 2\n"), "not valid YAML"));
  CHECK(contains(file_refusal("a.yaml", "name: a\n---\nname: b\n"), "several YAML documents"));
  CHECK(contains(file_refusal("a.json", "[1]"), "must hold an object"));
  CHECK(contains(file_refusal("a.json", "null"), "must hold an object"));
  CHECK(contains(file_refusal("a.toml", ""), "must end in .json"));
  CHECK(contains(refusal({"--config", "/nowhere/a.json"}), "cannot be read (No such file"));
  CHECK(contains(file_refusal("a.json", std::string(100, '[')), "nested deeper"));
  CHECK(contains(file_refusal("a.json", "{\"app\":" + std::string(5000, '[')), "nested deeper"));
}

TEST_CASE("a key that stands twice is an error in both languages") {
  CHECK(file_refusal("a.json", "{\n\"name\": \"a\",\n\"name\": \"b\"}") == "file a.json:3: the key \"name\" stands here a second time; keep one");
  CHECK(file_refusal("a.yaml", "name: a\nname: b\n") == "file a.yaml:2: the key \"name\" stands here a second time; keep one");
}

TEST_CASE("YAML that multiplies itself is stopped") {
  std::string bomb = "app:\n  a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 8; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "  a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 9; ++j) bomb += "," + before;
    bomb += "]\n";
  }
  CHECK(contains(file_refusal("a.yaml", bomb), "too large"));
}

TEST_CASE("an unset variable in a file is an error with the remedy") {
  CHECK(file_refusal("a.yaml", "name: ${NOT_SET}\n") ==
        "name (file a.yaml:1): needs the environment variable NOT_SET, which is not set; set it or write ${NOT_SET:-fallback}");
}

TEST_CASE("variables with the prefix that nearly name an option are errors, others are warnings") {
  CHECK(refusal({}, {{"APP_POOLS__MAIN__MUX", "3"}}) == "environment APP_POOLS__MAIN__MUX: unknown option; did you mean 'APP_POOLS__MAIN__MAX'?");
  CHECK(refusal({}, {{"APP_HTTP_LISTEN", ":1"}}) == "environment APP_HTTP_LISTEN: unknown option; did you mean 'APP_HTTP__LISTEN'?");
  CHECK(refusal({}, {{"APP_POOLS_MAIN_MAX", "3"}}) == "environment APP_POOLS_MAIN_MAX: unknown option; did you mean 'APP_POOLS__MAIN__MAX'?");
  CHECK(refusal({}, {{"APP_WORKER", "3"}}) == "environment APP_WORKER: unknown option; did you mean 'APP_WORKERS'?");
  CHECK(refusal({}, {{"APP_WOKRERS", "3"}}) == "environment APP_WOKRERS: unknown option; did you mean 'APP_WORKERS'?");
  const Loaded loaded = load_flags({}, {{"APP_HOME", "/x"}, {"APP_KEY", "hunter2"}, {"APPLE", "1"}});
  REQUIRE(loaded.warnings.size() == 2);
  CHECK(contains(loaded.warnings[0], "environment APP_HOME"));
  CHECK_FALSE(contains(loaded.warnings[1], "hunter2"));
}

TEST_CASE("all problems are reported at once, one a line") {
  const std::string text = refusal({"--threads", "x", "--mode", "y"}, {{"APP_LOG__LEVEL", "z"}});
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  CHECK(contains(text, "threads = x"));
  CHECK(contains(text, "mode = y"));
  CHECK(contains(text, "log.level = z"));
  // A wrong value in a weaker source is still wrong.
  CHECK(contains(refusal({"--threads", "2"}, {{"APP_THREADS", "x"}}), "threads = x (environment APP_THREADS)"));
}

TEST_CASE("values that cannot be printed do not break the line") {
  CHECK_FALSE(contains(refusal({"--mode", "a\nb\x1b[31m"}).substr(0, 20), "\n"));
  CHECK(refusal({"--mode", std::string(100000, 'x')}).size() < 1000);
}
