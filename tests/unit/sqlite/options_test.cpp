// Options that a driver acts on.
#include "fixture.hpp"

#include <sluice/pool/registry.hpp>

using namespace sluice;
using namespace sluice::test;

namespace {

awaitable<std::string> check_of(pool::Connector& connector) {
  auto connection = co_await connector.connect(Deadline::after(5s));
  std::string said;
  try {
    co_await connector.ping(*connection, Deadline::after(5s));
  } catch (const Error& error) {
    said = error.what();
  }
  co_await connector.close(std::move(connection), Deadline::after(5s));
  co_return said;
}

}  // namespace

TEST_CASE("option validation_query: it is the statement of a check") {
  TemporaryDirectory directory;
  config::Pool options = pool_options(url_of(directory / "a.db"));
  options.validation_query = "SELECT of_nothing FROM nowhere";
  const auto connector = pool::find_driver("sqlite")->make_connector(options, pool::Identity{});
  std::string said;
  on_loop([&]() -> awaitable<void> { said = co_await check_of(*connector); });
  CHECK(said.find("nowhere") != std::string::npos);
}
