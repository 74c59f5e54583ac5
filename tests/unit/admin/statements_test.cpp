#include <doctest/doctest.h>
#include <sluice/admin/statements.hpp>

#include "sample.hpp"

using namespace sluice;
using namespace sluice::test;
using nlohmann::json;

namespace {

void run(shm::RunningStatement& entry, std::uint64_t pool, std::uint64_t session, std::int64_t started, const char* sql) {
  entry.text.set(sql);
  entry.pool.set(pool);
  entry.session.set(session);
  entry.started_nanos.publish(static_cast<std::uint64_t>(started));
}

}  // namespace

TEST_CASE("running statements are listed with slot, pool, session and time, the longest first") {
  shm::Segment segment = sample_segment();
  run(segment.statements(0)[3], 0, 77, sample_now - second, "SELECT 1");
  run(segment.statements(4)[0], 1, 0, sample_now - 90 * second, "UPDATE t\nSET password='hunter2'");
  run(segment.statements(2)[0], 0, 9, sample_now - 500 * second, "of a slot without a life");
  const json view = admin::statements_view(segment, sample_now);
  REQUIRE(view.size() == 2);
  CHECK(view[0] == json{{"slot", 4}, {"pool", "audit"}, {"session", nullptr}, {"running_ms", 90'000}, {"statement", "UPDATE t SET password='***'"}});
  CHECK(view[1] == json{{"slot", 0}, {"pool", "main"}, {"session", 77}, {"running_ms", 1000}, {"statement", "SELECT 1"}});
  const std::string text = admin::statements_text(view);
  CHECK(text.find("SLOT  POOL") == 0);
  CHECK(text.find("1m30s") != std::string::npos);
  segment.statements(0)[3].started_nanos.set(0);
  CHECK(admin::statements_view(segment, sample_now).size() == 1);
}
