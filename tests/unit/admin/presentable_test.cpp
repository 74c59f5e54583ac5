#include <sluice/admin/presentable.hpp>

#include <doctest/doctest.h>

using sluice::admin::presentable;

TEST_CASE("ordinary text passes unchanged") {
  CHECK(presentable("password authentication failed for user \"app\"") == "password authentication failed for user \"app\"");
  CHECK(presentable("größe → 3") == "größe → 3");
  CHECK(presentable("") == "");
}

TEST_CASE("passwords in URLs are hidden, whatever they hold") {
  CHECK(presentable("open postgresql://app:hunter2@db:5432/main failed") == "open postgresql://app:***@db:5432/main failed");
  CHECK(presentable("mysql://app:a@b:c@db/x") == "mysql://app:***@db/x");
  CHECK(presentable("redis://:hunter2@cache") == "redis://:***@cache");
  CHECK(presentable("postgresql://app:hun/ter@db/main") == "postgresql://app:***@db/main");
  CHECK(presentable("a://u:p@x and b://v:q@y") == "a://u:***@x and b://v:***@y");
  CHECK(presentable("http://host:80/a and mail a@b") == "http://host:80/a and mail a@b");
  CHECK(presentable("sqlite:orders.db") == "sqlite:orders.db");
}

TEST_CASE("passwords in key=value texts are hidden") {
  CHECK(presentable("host=db password=hunter2 user=app") == "host=db password=*** user=app");
  CHECK(presentable("PASSWORD = 'hun ter\\'2' x") == "PASSWORD = '***' x");
  CHECK(presentable("?sslpassword=hunter2&x=1") == "?sslpassword=***&x=1");
  CHECK(presentable("api_token=abc") == "api_token=***");
  CHECK(presentable("password=") == "password=");
  CHECK(presentable("passwords=2") == "passwords=2");
}

TEST_CASE("bytes that are no UTF-8 and control characters are replaced") {
  CHECK(presentable("a\nb\x1b[31m") == "a b [31m");
  CHECK(presentable("cut \xc3") == "cut ?");
  CHECK(presentable("\xed\xa0\x80") == "???");       // a surrogate
  CHECK(presentable("\xc0\xaf") == "??");            // overlong
  CHECK(presentable("\xf4\x90\x80\x80") == "????");  // beyond U+10FFFF
}
