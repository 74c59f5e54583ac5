#include "report.hpp"

namespace orders {
namespace {

namespace sql = sluice::sql;

constexpr double steps_per_second = 2.5e6;  // of SQLite's recursion, roughly

Report report_of(const sql::Rows& rows) {
  Report report;
  report.orders = rows[0]["orders"].as<std::int64_t>();
  report.amount_cents = rows[0]["amount_cents"].as<std::int64_t>();
  return report;
}

}  // namespace

sluice::awaitable<Report> make_report(sql::Database& db, double seconds, sluice::Duration limit) {
  if (db.dialect() == sql::Dialect::postgres) {
    const sql::Rows rows = co_await db.query(
        sluice::within(limit),
        "WITH pause AS MATERIALIZED (SELECT pg_sleep($1)) "
        "SELECT (SELECT count(*) FROM orders) AS orders, (SELECT coalesce(sum(amount_cents), 0) FROM orders) AS amount_cents FROM pause",
        seconds);
    co_return report_of(rows);
  }
  if (db.dialect() == sql::Dialect::mysql) {
    const sql::Rows rows =
        co_await db.query(sluice::within(limit),
                          "SELECT (SELECT count(*) FROM orders) AS orders, "
                          "(SELECT CAST(coalesce(sum(amount_cents), 0) AS SIGNED) FROM orders) AS amount_cents, SLEEP($1) AS pause",
                          seconds);
    co_return report_of(rows);
  }
  const auto steps = static_cast<std::int64_t>(seconds * steps_per_second);
  const sql::Rows rows = co_await db.query(sluice::within(limit),
                                           "WITH RECURSIVE pause(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM pause WHERE n < $1) "
                                           "SELECT (SELECT count(*) FROM orders) AS orders, (SELECT coalesce(sum(amount_cents), 0) FROM orders) AS "
                                           "amount_cents, count(n) AS steps FROM pause",
                                           steps);
  co_return report_of(rows);
}

}  // namespace orders
