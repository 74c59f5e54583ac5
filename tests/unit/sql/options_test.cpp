// Options that the SQL face of a pool acts on. tests/options.txt names each.
#include "stub_session.hpp"

#include <sluice/core/log.hpp>

#include <unistd.h>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace sluice;
using namespace sluice::test;

namespace {

// What is logged by one statement with a secret parameter.
template <class Set>
std::string logged(Set set) {
  config::Pool options;
  set(options);
  const std::string path = (std::filesystem::temp_directory_path() / ("sluice-options-" + std::to_string(::getpid()))).native();
  log::Settings settings;
  settings.file = path;
  log::configure(settings);
  {
    DatabaseTest t(sql::Dialect::postgres, options);
    auto body = [&]() -> awaitable<void> { co_await t.db->query("SELECT $1", "hunter2"); };
    t.run(body);
  }
  log::configure(log::Settings());
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  std::remove(path.c_str());
  return text.str();
}

}  // namespace

TEST_CASE("option slow_statement: what took this long is logged") {
  CHECK(logged([](config::Pool& o) { o.slow_statement = 1ns; }).find("slow statement on pool main") != std::string::npos);
  CHECK(logged([](config::Pool& o) { o.slow_statement = 1h; }).empty());
}

TEST_CASE("option log_parameters: the log shows values") {
  CHECK(logged([](config::Pool& o) {
          o.slow_statement = 1ns;
          o.log_parameters = true;
        }).find("hunter2") != std::string::npos);
}
