// Orders: a small shop on one database, served by any number of workers. See GET / for its addresses.
//
// Kinds: web (the API), jobs (the payments of placed orders; none unless asked for: --workers web=2,jobs=1).
// Own options: app.report_deadline (5s): how long GET /report may take before it is answered with 503.
//              app.payments_url: where the kind jobs posts payments; see jobs.hpp for its further options.
//              app.job_channel: both kinds' (PostgreSQL), see there.
#include "jobs.hpp"
#include "web.hpp"

#include <sluice/launch.hpp>

int main(int argc, char** argv) {
  sluice::LaunchOptions options;
  options.name = "orders";
  options.description = "takes orders over HTTP and keeps them in SQLite, PostgreSQL or MariaDB";
  options.defaults = {{"pools.main.url", "sqlite:orders.db"}};
  return sluice::launch<orders::Web, orders::Jobs>(argc, argv, options);
}
