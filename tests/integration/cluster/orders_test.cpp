// The application itself: the same code on both databases.
#include "fixture.hpp"

#include <filesystem>
#include <thread>

namespace sluice::test {
namespace {

const http::Headers json_body{{"Content-Type", "application/json"}};

http::Headers with_key(const std::string& key) { return {{"Content-Type", "application/json"}, {"Idempotency-Key", key}}; }

std::string order_of(int user) { return R"({"user":)" + std::to_string(user) + R"(,"item":"book","quantity":2})"; }

std::string reason(const http::Response& response) {
  const auto body = nlohmann::json::parse(response.body, nullptr, false);
  return body.is_object() && body.contains("error") ? body.at("error").dump() : "no error object: " + response.body;
}

}  // namespace

TEST_CASE("Orders are made, found and honoured once per idempotency key") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  Cluster cluster({.workers = "2", .url = database.url()});
  SHOW_LOG_OF(cluster);
  const std::string key = cluster.instance() + "-first";
  const auto made = cluster.post("/orders", order_of(7), with_key(key));
  INFO(made.body);
  REQUIRE(made.status == 201);
  const auto order = nlohmann::json::parse(made.body);
  const std::string id = std::to_string(order.at("id").get<std::int64_t>());

  const auto found = cluster.get("/orders/" + id);
  INFO(found.body);
  CHECK(found.status == 200);
  CHECK(nlohmann::json::parse(found.body).at("user") == 7);
  const auto user = cluster.get("/users/7");
  CHECK(user.status == 200);
  CHECK(nlohmann::json::parse(user.body).at("id") == 7);

  for (int i = 0; i < 4; ++i) {
    const auto again = cluster.post("/orders", order_of(7), with_key(key));
    CHECK(again.status < 300);
    CHECK(nlohmann::json::parse(again.body).at("id") == order.at("id"));
  }
  CHECK(nlohmann::json::parse(cluster.post("/orders", order_of(7), with_key(key + "2")).body).at("id") != order.at("id"));
  check_clean_end(cluster, database.server);
}

TEST_CASE("The same idempotency key from many clients at once makes one order") {
  Database database;
  SUBCASE("on SQLite") {}
  SUBCASE("on PostgreSQL") {
    database.server = postgres();
    if (!database.server) return;
  }
  Cluster cluster({.workers = "4", .url = database.url()});
  SHOW_LOG_OF(cluster);
  std::vector<std::jthread> clients;
  std::vector<std::string> bodies(8);
  std::vector<unsigned> statuses(8);
  for (std::size_t i = 0; i < 8; ++i)
    clients.emplace_back([&, i] {
      try {
        const auto response = cluster.post("/orders", order_of(3), with_key(cluster.instance() + "-same"));
        bodies[i] = response.body;
        statuses[i] = response.status;
      } catch (const std::exception& error) {
        FAIL_CHECK(error.what());
      }
    });
  for (std::jthread& client : clients) client.join();
  for (std::size_t i = 0; i < 8; ++i) {
    INFO(statuses[i] << " " << bodies[i]);
    REQUIRE(statuses[i] < 300);
    CHECK(nlohmann::json::parse(bodies[i]).at("id") == nlohmann::json::parse(bodies[0]).at("id"));
  }
  check_clean_end(cluster, database.server);
}

TEST_CASE("Bad input is answered with the status, the field and the reason") {
  Cluster cluster({.workers = "1"});
  SHOW_LOG_OF(cluster);
  CHECK(cluster.post("/orders", order_of(1), json_body).status < 300);
  CHECK(cluster.get("/users/x").status == 400);
  CHECK(reason(cluster.get("/users/x")).find("id") != std::string::npos);
  CHECK(cluster.get("/users/99999999999999999999").status == 400);
  CHECK(cluster.get("/users/987654").status == 404);
  CHECK(cluster.get("/orders/987654").status == 404);
  CHECK(cluster.get("/nowhere").status == 404);
  CHECK(cluster.post("/ping", "").status == 405);
  const auto no_json = cluster.post("/orders", "{\"user\":", json_body);
  CHECK(no_json.status == 400);
  CHECK(reason(no_json).find("no error object") == std::string::npos);
  const auto no_user = cluster.post("/orders", "{}", json_body);
  CHECK(no_user.status == 400);
  CHECK(reason(no_user).find("field") != std::string::npos);
  CHECK(cluster.post("/orders", R"({"user":"x","item":"book","quantity":1})", json_body).status == 400);
  CHECK(cluster.post("/orders", R"({"user":1,"item":"book","quantity":-1})", json_body).status == 400);
  CHECK(cluster.post("/orders", R"({"user":1,"item":")" + std::string(2 << 20, 'x') + "\"}", json_body).status == 413);
  CHECK(cluster.post("/orders", R"({"user":1,"item":"'; DROP TABLE orders; --","quantity":1})", json_body).status < 300);
  CHECK(cluster.get("/orders/1").status == 200);
  CHECK(cluster.worker(0).at("generation") == 1);
  check_clean_end(cluster);
}

TEST_CASE("A report that takes too long is answered with 503 at its deadline") {
  PostgresServer* server = postgres();
  if (!server) return;
  Cluster cluster({.workers = "1", .url = server->url(), .flags = {"--app.report_deadline", "1s"}});
  SHOW_LOG_OF(cluster);
  CHECK(cluster.get("/report?seconds=0").status == 200);
  const TimePoint asked = Clock::now();
  CHECK(cluster.get("/report?seconds=30", 10s).status == 503);
  CHECK(Clock::now() - asked < scaled(2s));
  // The statement ended on the server too.
  CHECK(eventually(2s, [&] {
    for (const PostgresSession& session : sessions(*server, cluster))
      if (session.state == "active") return false;
    return true;
  }));
  check_clean_end(cluster, server);
}

TEST_CASE("The database is untouched until the first request needs it") {
  Cluster cluster({.workers = "4", .flags = {"--pools.main.warm_up", "false"}});
  SHOW_LOG_OF(cluster);
  CHECK(cluster.get("/ping").status == 200);
  CHECK(!std::filesystem::exists(cluster.directory() / "orders.db"));
  CHECK(cluster.get("/users/1").status != 503);
  CHECK(std::filesystem::exists(cluster.directory() / "orders.db"));
  check_clean_end(cluster);
}

}  // namespace sluice::test
