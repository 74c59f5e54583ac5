#include "fixture.hpp"

#include <sluice/config/redact.hpp>

#include <doctest/doctest.h>

using namespace config_test;

TEST_CASE("passwords in urls are hidden, everything else is kept") {
  CHECK(redact_url("postgres://user:hunter2@host:5432/db?sslmode=require") == "postgres://user:***@host:5432/db?sslmode=require");
  CHECK(redact_url("postgres://user@host/db") == "postgres://user@host/db");
  CHECK(redact_url("postgres://host:5432/db") == "postgres://host:5432/db");
  CHECK(redact_url("postgres://user:hunter2/db") == "postgres://user:***/db");
  CHECK(redact_url("redis://:hunter2@host") == "redis://:***@host");
  CHECK(redact_url("sqlite:orders.db") == "sqlite:orders.db");
  CHECK(redact_url("mongodb://u:hunter2@a:1,b:2/db") == "mongodb://u:***@a:1,b:2/db");
  CHECK(redact_url("") == "");
}

TEST_CASE("passwords that were not escaped are hidden all the same") {
  for (const char* url : {"postgres://u:hun/ter2@h/db", "postgres://u:hun@ter2@h/db", "postgres://u:hun?ter2@h/db", "postgres://u:hun#ter2@h/db",
                          "postgres://u:hun:ter2@h/db"}) {
    CAPTURE(url);
    CHECK_FALSE(contains(redact_url(url), "ter2"));
    CHECK_FALSE(contains(redact_url(url), "hun"));
  }
  CHECK(redact_url("postgres://host:5432/db?application_name=a@b") == "postgres://host:5432/db?application_name=a@b");
}

TEST_CASE("a password is hidden where the scheme was forgotten or lost its slashes, too") {
  CHECK(redact_url("app:hunter2@db/orders") == "app:***@db/orders");
  CHECK(redact_url("//app:hunter2@db/orders") == "//app:***@db/orders");
  CHECK(redact_url("postgres:app:hunter2@db/orders?sslmode=require") == "postgres:***@db/orders?sslmode=require");
  CHECK(redact_url("app@db:5432/orders") == "app@db:5432/orders");
  CHECK(redact_url("db:5432/orders") == "db:5432/orders");
  CHECK(redact_url("SQLite:mine:a@b.db") == "SQLite:mine:a@b.db");
}

TEST_CASE("secret parameters of the query are hidden") {
  CHECK(redact_url("postgres://h/db?user=u&password=hunter2&sslpassword=x&sslmode=require") ==
        "postgres://h/db?user=u&password=***&sslpassword=***&sslmode=require");
  CHECK(redact_url("sqlite:a.db?key=hunter2") == "sqlite:a.db?key=***");
  CHECK(redact_url("https://h/?api_token=x") == "https://h/?api_token=***");
}

TEST_CASE("secret keywords of connection strings are hidden, quoted or not") {
  CHECK(redact_url("host=h password=hunter2 user=u") == "host=h password=*** user=u");
  CHECK(redact_url("host=h password = 'hun\\'ter 2' user=u") == "host=h password = *** user=u");
  CHECK(redact_url("PASSWORD=hunter2") == "PASSWORD=***");
  CHECK(redact_url("password='open") == "password=***");
  CHECK(redact_url("password=") == "password=***");
  CHECK(redact_url("host=h password=hunter2\\") == "host=h password=***");
}

TEST_CASE("print-config shows every option of every pool and server once, and no secret") {
  const Loaded loaded =
      load_flags({"--pools.main.url", "postgres://u:hunter2@h/db", "--pools.main.max", "8", "--admin.token", "hunter2", "--app.smtp.password",
                  "hunter2", "--app.upstream", "http://u:hunter2@x/", "--app.size", "3", "--app.list", R"([{"token": "hunter2"}])"});
  std::ostringstream out;
  print_config(out, loaded);
  const std::string text = out.str();
  CHECK_FALSE(contains(text, "hunter2"));
  CHECK(contains(text, "pools.main.max = 8   # flag --pools.main.max\n"));
  CHECK(contains(text, "pools.main.url = postgres://u:***@h/db   # flag --pools.main.url\n"));
  CHECK(contains(text, "admin.token = ***   # flag --admin.token\n"));
  CHECK(contains(text, "servers.main.total = auto   # default\n"));
  CHECK(contains(text, "app.size = 3   # flag --app.size\n"));
  CHECK(contains(text, "app.smtp.password = \"***\"   # flag --app.smtp.password\n"));
  for (const Option& option : options()) {
    if (option.type == Type::json) continue;
    const std::string line = "\n" + filled(option.name, "main") + " = ";
    CAPTURE(line);
    const std::string all = "\n" + text;
    const std::size_t first = all.find(line);
    CHECK(first != std::string::npos);
    CHECK(all.find(line, first + 1) == std::string::npos);
  }
  std::ostringstream again;
  print_config(again, loaded);
  CHECK(again.str() == text);
}

TEST_CASE("a secret given as a flag is warned of, given as a file or variable not") {
  CHECK(load_flags({"--admin.token", "x"}).warnings.size() == 1);
  CHECK(load_flags({"--pools.main.url", "postgres://u:p@h/db"}).warnings.size() == 1);
  CHECK(load_flags({"--pools.main.url", "postgres://u@h/db"}).warnings.empty());
  CHECK(load_flags({}, {{"APP_ADMIN__TOKEN", "x"}}).warnings.empty());
}
