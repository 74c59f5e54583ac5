// Orders: a small shop on one database, served by any number of workers. See GET / for its addresses.
//
// Own options: app.report_deadline (5s): how long GET /report may take before it is answered with 503.
#include "web.hpp"

#include <sluice/launch.hpp>

int main(int argc, char** argv) {
  sluice::LaunchOptions options;
  options.name = "orders";
  options.description = "takes orders over HTTP and keeps them in SQLite or PostgreSQL";
  options.defaults = {{"pools.main.url", "sqlite:orders.db"}};
  return sluice::launch<orders::Web>(argc, argv, options);
}
