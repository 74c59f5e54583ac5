#include <sluice/pool/call_sites.hpp>
#include <sluice/pool/registry.hpp>

#include <doctest/doctest.h>

using namespace sluice::pool;

namespace {
const Register stub({{"stubdb", "stubsql"}, "Stub", false, nullptr, nullptr});
}

TEST_CASE("a registered driver is found by each of its schemes") {
  REQUIRE(find_driver("stubdb"));
  CHECK(find_driver("stubsql") == find_driver("stubdb"));
  CHECK(find_driver("stubdb")->display_name == "Stub");
  CHECK(find_driver("other") == nullptr);
  const auto known = known_schemes();
  CHECK(std::find(known.begin(), known.end(), "stubsql") != known.end());
}

TEST_CASE("the scheme of a url is what stands before the first colon") {
  CHECK(scheme_of("postgres://user@host/db") == "postgres");
  CHECK(scheme_of("sqlite:orders.db") == "sqlite");
  CHECK(scheme_of("POSTGRESQL://h") == "postgresql");
  CHECK(scheme_of("/no/scheme") == "");
  CHECK(scheme_of("with space:x") == "");
  CHECK(scheme_of(":x") == "");
}

TEST_CASE("an identity survives its text, also with dots in the instance id") {
  Identity id;
  id.instance = "orders@db-1.example.org";
  id.nonce = "0a1b2c3d";
  id.slot = 12;
  id.generation = 34567;
  CHECK(id.text() == "orders@db-1.example.org.0a1b2c3d:12.34567");
  const auto parsed = parse_identity(id.text());
  REQUIRE(parsed);
  CHECK(parsed->instance == id.instance);
  CHECK(parsed->nonce == id.nonce);
  CHECK(parsed->slot == 12);
  CHECK(parsed->generation == 34567);
}

TEST_CASE("other names are no identities") {
  for (const char* name : {"", "psql", "a.0a1b2c3d", "a.0a1b2c3d:1", "a.0a1b2c3d:1.", "a.0a1b2c3d:.1", "a.0a1b2c3g:1.1", "a.0a1b2c3d:1.x", "a.0a1b2c3d:-1.1", ".0a1b2c3d:1.1",
                           "0a1b2c3d:1.1", "a0a1b2c3d:1.1", "a.0A1B2C3D:1.1", "a.0a1b2c3d:1.1 "}) {
    CAPTURE(name);
    CHECK_FALSE(parse_identity(name));
  }
}

TEST_CASE("call sites are numbered once, also for another pool of the same slot") {
  std::vector<sluice::shm::CallSite> shared(3);
  CallSites sites(shared);
  const boost::source_location here = BOOST_CURRENT_LOCATION;
  const auto number = sites.find(here);
  CHECK(number == 1);
  CHECK(sites.find(here) == 1);
  CHECK(shared[0].line.load() == here.line());
  CHECK(std::string(shared[0].file).find("registry_test.cpp") != std::string::npos);
  CallSites others(shared);
  CHECK(others.find(here) == 1);
  CHECK(others.find(BOOST_CURRENT_LOCATION) == 2);
  CHECK(sites.find(BOOST_CURRENT_LOCATION) == 3);
  CHECK(sites.find(BOOST_CURRENT_LOCATION) == 0);  // full
  CallSites none({});
  CHECK(none.find(here) == 0);
}
