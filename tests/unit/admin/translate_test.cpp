// The verb as its users call it: a file in, ours out, and nothing that runs is needed.
#include <sluice/admin/arguments.hpp>
#include <sluice/admin/client.hpp>

#include <sluice/core/error.hpp>

#include <doctest/doctest.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

using namespace sluice;
using namespace sluice::admin;

namespace {

struct Said {
  int code;
  std::string out, err;
};

Said said(std::vector<std::string> arguments) {
  std::ostringstream out, err;
  std::streambuf* const old_out = std::cout.rdbuf(out.rdbuf());
  std::streambuf* const old_err = std::cerr.rdbuf(err.rdbuf());
  const int code = ctl("orders", arguments);
  std::cout.rdbuf(old_out);
  std::cerr.rdbuf(old_err);
  return {code, out.str(), err.str()};
}

struct File {
  explicit File(const std::string& content) {
    std::string pattern = (std::filesystem::temp_directory_path() / "sluice-translate-XXXXXX").string();
    directory = ::mkdtemp(pattern.data());
    path = directory + "/engine.py";
    std::ofstream(path) << content;
  }
  ~File() { std::filesystem::remove_all(directory); }
  std::string directory, path;
};

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("ctl config translate works without an instance") {
  const File file("engine = create_engine('postgresql://me@db/app', pool_size=5, max_overflow=10)\n");
  const Said good = said({"config", "translate", "--from", "sqlalchemy", file.path});
  CHECK(good.code == 0);
  CHECK(good.err == "");
  CHECK(contains(good.out, "\"max\": 15"));
  CHECK(contains(good.out, "\"url\": \"postgres://me@db/app\""));
  const Said json = said({"config", "translate", "--from=sqlalchemy", "--json", file.path});
  CHECK(json.code == 0);
  CHECK(contains(json.out, "\"name\": \"pools.main.max\""));
}

TEST_CASE("ctl config translate ends with 78 if something was not understood, and says it on standard error too") {
  const File file("engine = create_engine('postgresql://me@db/app', pool_sise=5)\n");
  const Said bad = said({"config", "translate", "--from", "sqlalchemy", file.path});
  CHECK(bad.code == 78);
  CHECK(contains(bad.err, "engine.py:1: pool_sise = 5"));
  CHECK(contains(bad.err, "did you mean \"pool_size\"?"));
  CHECK(contains(bad.out, "postgres://me@db/app"));
  const File malformed("create_engine(");
  CHECK(said({"config", "translate", "--from", "sqlalchemy", malformed.path}).code == 78);
  CHECK(said({"config", "translate", "--from", "sqlalchemy", malformed.path}).out == "");
}

TEST_CASE("ctl config translate says what is wrong with its own command line") {
  CHECK(said({"config", "translate", "--from", "sqlalchmy", "x"}).code == 64);
  CHECK(contains(said({"config", "translate", "--from", "sqlalchmy", "x"}).err, "did you mean \"sqlalchemy\"?"));
  CHECK(contains(said({"config", "translate", "x"}).err, "--from is missing"));
  CHECK(contains(said({"config", "translate", "--from", "pg"}).err, "needs a file"));
  CHECK(contains(said({"config", "translat", "--from", "pg", "x"}).err, "there is only \"config translate\""));
  CHECK(contains(said({"config", "translate", "--from", "pg", "/nonexistent/x"}).err, "cannot be read"));
  CHECK(contains(said({"status", "--from", "pg"}).err, "does not go with"));
  CHECK(contains(said({"config", "--help"}).out, "sqlalchemy, psycopg2"));
  CHECK(contains(said({"config", "translate", "--table"}).out, "| `pool_size` |"));
}
