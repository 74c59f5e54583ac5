#include <sluice/admin/tables.hpp>

#include <sluice/core/text.hpp>

#include <algorithm>
#include <cstdio>

namespace sluice::admin {
namespace {

using nlohmann::json;
using Rows = std::vector<std::vector<std::string>>;

std::string fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

std::string two_digits(std::int64_t n) { return text(n < 10 ? "0" : "", n); }

// A field as text; null and absent are "-". An answer of another version must not end in an exception.
std::string cell(const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return "-";
  if (it->is_string()) return it->get<std::string>().empty() ? "-" : it->get<std::string>();
  if (it->is_number_float()) return fixed(it->get<double>(), 3);
  return it->dump();
}

template <class Format>
std::string formatted(const json& object, const char* key, Format format) {
  const auto it = object.find(key);
  return it == object.end() || !it->is_number() ? "-" : format(it->get<double>());
}

std::string duration(const json& object, const char* key) { return formatted(object, key, human_millis); }

std::string wait_time(const json& object, const char* key) {
  return formatted(object, key, [](double ms) { return ms >= 1000 ? human_millis(ms) : text(fixed(ms, ms < 10 ? 3 : 1), "ms"); });
}

std::size_t display_width(const std::string& s) {
  return static_cast<std::size_t>(std::count_if(s.begin(), s.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

bool numeric(const std::string& s) { return s == "-" || (!s.empty() && s[0] >= '0' && s[0] <= '9'); }

}  // namespace

std::string human_millis(double ms) {
  const auto seconds = static_cast<std::int64_t>(ms / 1000);
  if (ms < 1000) return text(static_cast<std::int64_t>(ms), "ms");
  if (seconds < 60) return text(fixed(ms / 1000, 1), "s");
  if (seconds < 3600) return text(seconds / 60, "m", two_digits(seconds % 60), "s");
  if (seconds < 86400) return text(seconds / 3600, "h", two_digits(seconds / 60 % 60), "m");
  return text(seconds / 86400, "d", two_digits(seconds / 3600 % 24), "h");
}

std::string human_bytes(double bytes) {
  constexpr const char* units[] = {"B", "K", "M", "G", "T"};
  unsigned unit = 0;
  for (; bytes >= 1024 && unit < 4; ++unit) bytes /= 1024;
  return text(fixed(bytes, unit == 0 ? 0 : 1), units[unit]);
}

std::string table(const std::vector<std::string>& header, const Rows& rows) {
  std::vector<std::size_t> width;
  std::vector<bool> right;
  for (std::size_t c = 0; c < header.size(); ++c) {
    std::size_t widest = display_width(header[c]);
    for (const auto& row : rows) widest = std::max(widest, display_width(row[c]));
    width.push_back(widest);
    right.push_back(!rows.empty() && std::all_of(rows.begin(), rows.end(), [c](const auto& row) { return numeric(row[c]); }));
  }
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string joined;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const std::string padding(width[c] - display_width(cells[c]), ' ');
      joined += text(c ? "  " : "", right[c] ? padding : "", cells[c], right[c] ? "" : padding);
    }
    joined.erase(joined.find_last_not_of(' ') + 1);
    out += joined;
    out += '\n';
  };
  line(header);
  for (const auto& row : rows) line(row);
  return out;
}

std::string workers_text(const json& workers) {
  Rows rows;
  for (const json& w : workers)
    rows.push_back({cell(w, "slot"), cell(w, "kind"), cell(w, "state"), cell(w, "generation"), cell(w, "pid"), duration(w, "uptime_ms"),
                    duration(w, "heartbeat_age_ms"), cell(w, "restarts"), cell(w, "last_exit"), cell(w, "requests"), cell(w, "request_errors"),
                    cell(w, "in_flight"), formatted(w, "rss_bytes", human_bytes),
                    formatted(w, "cpu_seconds", [](double s) { return fixed(s, 1) + "s"; }), cell(w, "reason")});
  return table({"SLOT", "KIND", "STATE", "LIFE", "PID", "UP", "HEARTBEAT", "RESTARTS", "LAST EXIT", "REQUESTS", "ERRORS", "IN FLIGHT", "RESIDENT",
                "CPU", "REASON"},
               rows);
}

// Below the table: why a pool is not healthy, and what would help.
std::string advice_text(const json& pools) {
  std::string out;
  for (const json& pool : pools) {
    const auto health = pool.find("health");
    if (health == pool.end() || !health->is_object()) continue;
    for (const json& finding : health->value("findings", json::array())) {
      const std::string advice = finding.value("recommendation", "");
      out += text(cell(pool, "pool"), " in slot ", cell(pool, "slot"), ": ", cell(finding, "reason"), advice.empty() ? "" : "; ", advice, "\n");
    }
  }
  return out;
}

std::string pools_text(const json& pools) {
  const auto health_of = [](const json& pool) {
    const auto health = pool.find("health");
    return health == pool.end() || !health->is_object() ? std::string("-") : cell(*health, "state");
  };

  Rows rows;
  for (const json& p : pools) {
    const auto reachable = p.find("reachable");
    const bool known = reachable != p.end() && reachable->is_boolean();
    rows.push_back({cell(p, "pool"), cell(p, "slot"), cell(p, "limit"), cell(p, "held"), cell(p, "idle"), cell(p, "leased"), cell(p, "in_flight"), cell(p, "connecting"),
                    cell(p, "closing"), cell(p, "waiting"), cell(p, "acquires"), cell(p, "timeouts"), cell(p, "connects"), cell(p, "connect_errors"),
                    cell(p, "lost"), wait_time(p, "acquire_wait_p50_ms"), wait_time(p, "acquire_wait_p99_ms"),
                    !known                   ? "-"
                    : reachable->get<bool>() ? "yes"
                                             : "no",
                    health_of(p), cell(p, "last_error")});
  }
  return table({"POOL", "SLOT", "LIMIT", "HELD", "IDLE", "LEASED", "IN FLIGHT", "CONNECTING", "CLOSING", "WAITING", "ACQUIRES", "TIMEOUTS", "CONNECTS", "ERRORS",
                "LOST", "WAIT P50", "WAIT P99", "REACHED", "HEALTH", "LAST ERROR"},
               rows) +
         advice_text(pools);
}

std::string permits_text(const json& permits) {
  Rows rows;
  const auto is_free = [](const json& p) { return cell(p, "state") == "free"; };
  for (std::size_t i = 0; i < permits.size(); ++i) {
    const json& p = permits[i];
    std::size_t last = i;  // free neighbours share a line
    while (is_free(p) && last + 1 < permits.size() && is_free(permits[last + 1]) && cell(permits[last + 1], "server") == cell(p, "server")) ++last;
    const std::string row = last == i ? cell(p, "row") : text(cell(p, "row"), "-", cell(permits[last], "row"));
    rows.push_back({cell(p, "server"), row, cell(p, "state"), cell(p, "slot"), cell(p, "generation"), cell(p, "session"),
                    last == i ? duration(p, "since_ms") : "-", cell(p, "call_site")});
    i = last;
  }
  return table({"SERVER", "ROW", "STATE", "SLOT", "LIFE", "SESSION", "SINCE", "CALL SITE"}, rows);
}

std::string status_text(const json& status) {
  std::string out = text(cell(status, "instance"), ": ", cell(status, "state"), ", up ", duration(status, "uptime_ms"), ", master ",
                         cell(status, "master_pid"), ", configuration ", cell(status, "config_generation"), "\n\n");
  Rows rows;
  for (const json& s : status.value("servers", json::array()))
    rows.push_back({cell(s, "server"), cell(s, "state"), cell(s, "budget"), cell(s, "held"), cell(s, "idle"), cell(s, "leased"),
                    cell(s, "connecting"), cell(s, "closing"), cell(s, "quarantined"), cell(s, "free"), cell(s, "arithmetic")});
  out += table({"SERVER", "STATE", "BUDGET", "HELD", "IDLE", "LEASED", "CONNECTING", "CLOSING", "QUARANTINED", "FREE", "HOW"}, rows);
  for (const json& s : status.value("servers", json::array())) {
    if (const std::string error = cell(s, "janitor_error"); error != "-") out += text("! ", cell(s, "server"), ": ", error, "\n");
  }
  if (const json rollout = status.value("rollout", json()); rollout.is_object() && rollout.value("state", "") != "done")
    out += text("\nrolling restart ", cell(rollout, "number"), ": ", cell(rollout, "text"), "\n");
  out += '\n' + workers_text(status.value("workers", json::array())) + '\n';
  const json totals = status.value("totals", json::object());
  const auto total = [&](const char* key, const char* name) { out += text(cell(totals, key), ' ', name); };
  out += "totals: ";
  total("requests", "requests (");
  total("request_errors", "errors), ");
  total("statements", "statements (");
  total("statement_errors", "errors), ");
  total("acquires", "acquires (");
  total("timeouts", "timeouts), ");
  total("connects", "connects (");
  total("connect_errors", "errors), ");
  total("lost", "lost connections, ");
  total("restarts", "restarts\n");
  return out;
}

std::string health_text(const json& health) {
  std::string out = cell(health, "overall") + "\n";
  for (const json& reason : health.value("reasons", json::array())) {
    out += text("  ", cell(reason, "subject"), ": ", cell(reason, "reason"), "\n");
    if (const std::string advice = reason.value("recommendation", ""); !advice.empty()) out += text("    ", advice, "\n");
  }
  return out;
}

}  // namespace sluice::admin
