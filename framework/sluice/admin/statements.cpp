#include <sluice/admin/presentable.hpp>
#include <sluice/admin/statements.hpp>
#include <sluice/admin/tables.hpp>
#include <sluice/admin/views.hpp>

#include <algorithm>
#include <vector>

namespace sluice::admin {

using nlohmann::json;

json statements_view(const shm::Segment& segment, std::int64_t now) {
  std::vector<json> rows;
  for (std::uint32_t slot = 0; slot < segment.header().max_workers; ++slot) {
    if (!alive(state_of(segment.slots()[slot]))) continue;
    for (const shm::RunningStatement& statement : segment.statements(slot)) {
      const auto started = static_cast<std::int64_t>(statement.started_nanos.acquire());
      if (started == 0) continue;
      const std::uint64_t pool = statement.pool.get(), session = statement.session.get();
      std::string sql = presentable(statement.text.get());
      // Ended while it was read: what was read may be the next one's.
      if (static_cast<std::int64_t>(statement.started_nanos.acquire()) != started) continue;
      rows.push_back({{"slot", slot},
                      {"pool", pool < segment.pools().size() ? json(presentable(segment.pools()[pool].name)) : json(nullptr)},
                      {"session", session == 0 ? json(nullptr) : json(session)},
                      {"running_ms", std::max<std::int64_t>(now - started, 0) / 1'000'000},
                      {"statement", std::move(sql)}});
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const json& a, const json& b) { return a.at("running_ms") > b.at("running_ms"); });
  return json(std::move(rows));
}

std::string statements_text(const json& statements) {
  const auto shown = [](const json& row, const char* key) { return row.value(key, json()).is_null() ? std::string("-") : row.at(key).dump(); };
  std::vector<std::vector<std::string>> rows;
  for (const json& s : statements) {
    std::string sql = s.value("statement", "");
    std::replace(sql.begin(), sql.end(), '\n', ' ');
    rows.push_back({shown(s, "slot"), s.at("pool").is_string() ? s.at("pool").get<std::string>() : "-", shown(s, "session"),
                    human_millis(s.value("running_ms", 0.0)), std::move(sql)});
  }
  return table({"SLOT", "POOL", "SESSION", "RUNNING", "STATEMENT"}, rows);
}

}  // namespace sluice::admin
