#include <sluice/admin/page.hpp>

namespace sluice::admin {
namespace {

// Every value goes through textContent: nothing from the API is ever parsed as markup.
constexpr const char* document = R"html(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sluice</title>
<style>
  :root { color-scheme: light dark; --ink: #1b2733; --soft: #65758a; --line: #dde4ec; --paper: #f5f7fa; --card: #fff;
          --good: #15803d; --warn: #b45309; --bad: #b91c1c; --leased: #2563eb; --idle: #93c5fd; --move: #f59e0b; --quar: #dc2626; --free: #e2e8f0; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e6edf5; --soft: #93a4b8; --line: #2a3644; --paper: #10161d; --card: #18212b; --free: #2a3644;
          --good: #4ade80; --warn: #fbbf24; --bad: #f87171; --leased: #3b82f6; --idle: #1e4f8f; } }
  * { box-sizing: border-box }
  body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
  main, header { max-width: 1120px; margin: 0 auto; padding: 0 20px }
  header { display: flex; gap: 14px; align-items: baseline; flex-wrap: wrap; padding-top: 26px; padding-bottom: 6px }
  h1 { font-size: 22px; margin: 0; overflow-wrap: anywhere } h2 { font-size: 15px; margin: 26px 0 8px; color: var(--soft); font-weight: 600 }
  .pill { padding: 2px 10px; border-radius: 99px; border: 1px solid; font-size: 13px; font-weight: 600 }
  .good { color: var(--good) } .warn { color: var(--warn) } .bad { color: var(--bad) } .soft { color: var(--soft) }
  .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; margin-bottom: 12px; overflow-x: auto }
  .figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 12px }
  .figures .card { margin: 0 } .figures b { display: block; font-size: 22px; font-variant-numeric: tabular-nums }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px }
  th { text-align: left; color: var(--soft); font-weight: 500 } th, td { padding: 4px 12px 4px 0; white-space: nowrap } td { border-top: 1px solid var(--line) }
  td.n, th.n { text-align: right } td.wide { white-space: normal; min-width: 200px }
  .bar { display: flex; height: 14px; border-radius: 7px; overflow: hidden; background: var(--free); margin: 8px 0 }
  .bar i { display: block } .key { display: flex; gap: 14px; flex-wrap: wrap; font-size: 13px; color: var(--soft) }
  .key i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 5px }
  footer { max-width: 1120px; margin: 20px auto; padding: 0 20px; color: var(--soft); font-size: 13px }
  a { color: inherit }
</style>
<header><h1 id="instance">Sluice</h1><span class="pill soft" id="state">loading</span><span class="soft" id="since"></span><span id="rollout"></span></header>
<main>
  <div class="figures" id="totals"></div>
  <h2>Connection budgets</h2><div id="servers"></div>
  <h2>Workers</h2><div class="card"><table id="workers"></table></div>
  <h2>Pools</h2><div class="card"><table id="pools"></table></div>
</main>
<footer>
  <a href="/health">health</a> · <a href="/readyz">readyz</a> · <a href="/metrics">metrics</a> · <a href="/api/permits">permits</a> ·
  refreshed every second while this page is visible
</footer>
<script>
"use strict";
const byId = id => document.getElementById(id);
const make = (tag, text, className) => {
  const e = document.createElement(tag);
  if (text !== undefined && text !== null) e.textContent = String(text);
  if (className) e.className = className;
  return e;
};
const count = n => n === null ? "–" : Number(n).toLocaleString("en");
const span = ms => ms === null ? "–" : ms < 1000 ? Math.round(ms) + " ms" : ms < 60000 ? (ms / 1000).toFixed(1) + " s"
  : ms < 3600000 ? Math.floor(ms / 60000) + " min" : ms < 172800000 ? Math.floor(ms / 3600000) + " h" : Math.floor(ms / 86400000) + " d";
const bytes = n => n === null ? "–" : (n / 1048576).toFixed(1) + " MB";
const tone = { running: "good", ready: "good", starting: "warn", draining: "warn", stopping: "warn", backoff: "warn", asking: "warn",
               exited: "bad", failed: "bad", stopped: "bad", refused: "bad" };

function fill(table, columns, rows) {
  const head = make("tr");
  for (const c of columns) head.append(make("th", c.title, c.number ? "n" : ""));
  table.replaceChildren(head);
  for (const row of rows) {
    const line = make("tr");
    for (const c of columns) line.append(make("td", c.value(row), [c.number ? "n" : "", c.wide ? "wide" : "", c.tone ? c.tone(row) || "" : ""].join(" ").trim()));
    table.append(line);
  }
}
function showServers(servers) {
  const parts = [["leased", "--leased"], ["idle", "--idle"], ["connecting", "--move"], ["closing", "--move"], ["granted", "--move"],
                 ["quarantined", "--quar"], ["free", "--free"]];
  byId("servers").replaceChildren(...servers.map(s => {
    const card = make("div", null, "card"), bar = make("div", null, "bar"), key = make("div", null, "key");
    const title = make("div");
    title.append(make("b", s.server + " "), make("span", s.state, tone[s.state] || "soft"),
                 make("span", "  holds " + s.held + " of " + s.budget + (s.wished_total === null ? "" : " (set while running)"), "soft"));
    if (s.shrinking) title.append(make("span", "  " + (s.in_force - s.budget) + " have to come back", "warn"));
    for (const [name, colour] of parts) {
      if (!s[name]) continue;
      const piece = make("i");
      piece.style.flex = s[name];
      piece.style.background = "var(" + colour + ")";
      piece.title = name;
      bar.append(piece);
      const label = make("span"), dot = make("i");
      dot.style.background = "var(" + colour + ")";
      label.append(dot, s[name] + " " + name);
      key.append(label);
    }
    card.append(title, bar, key, make("div", s.arithmetic, "soft"));
    if (s.janitor_error) card.append(make("div", s.janitor_error, "bad"));
    return card;
  }));
}
async function read(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(path + ": " + answer.status);
  return answer.json();
}
async function refresh() {
  try {
    const [status, workers, pools] = await Promise.all([read("/api/status"), read("/api/workers"), read("/api/pools")]);
    byId("instance").textContent = status.instance;
    document.title = status.instance + " · Sluice";
    byId("state").textContent = status.state;
    byId("state").className = "pill " + (tone[status.state] || "soft");
    byId("since").textContent = "up " + span(status.uptime_ms) + " · configuration " + status.config_generation;
    const rolling = status.rollout;
    byId("rollout").textContent = rolling && rolling.state !== "done" ? "rolling restart: " + rolling.text : "";
    byId("rollout").className = rolling && rolling.state === "stopped" ? "bad" : "warn";
    byId("totals").replaceChildren(...Object.entries(status.totals).map(([name, value]) => {
      const card = make("div", null, "card");
      card.append(make("b", count(value)), make("span", name.replace(/_/g, " "), "soft"));
      return card;
    }));
    showServers(status.servers);
    fill(byId("workers"), [
      { title: "slot", value: w => w.slot, number: true }, { title: "kind", value: w => w.kind },
      { title: "state", value: w => w.state, tone: w => tone[w.state] }, { title: "life", value: w => w.generation, number: true },
      { title: "pid", value: w => w.pid === null ? "–" : w.pid, number: true }, { title: "up", value: w => span(w.uptime_ms), number: true },
      { title: "heartbeat", value: w => span(w.heartbeat_age_ms), number: true, tone: w => w.heartbeat_age_ms > 1000 ? "bad" : "" },
      { title: "requests", value: w => count(w.requests), number: true },
      { title: "errors", value: w => count(w.request_errors), number: true, tone: w => w.request_errors ? "bad" : "" },
      { title: "in flight", value: w => count(w.in_flight), number: true }, { title: "resident", value: w => bytes(w.rss_bytes), number: true },
      { title: "restarts", value: w => w.restarts, number: true }, { title: "reason", value: w => w.reason, wide: true }], workers);
    fill(byId("pools"), [
      { title: "pool", value: p => p.pool }, { title: "slot", value: p => p.slot, number: true }, { title: "limit", value: p => p.limit, number: true },
      { title: "held", value: p => p.held, number: true }, { title: "leased", value: p => p.leased, number: true },
      { title: "idle", value: p => p.idle, number: true }, { title: "waiting", value: p => p.waiting, number: true, tone: p => p.waiting ? "warn" : "" },
      { title: "acquires", value: p => count(p.acquires), number: true }, { title: "timeouts", value: p => count(p.timeouts), number: true },
      { title: "lent", value: p => count(p.lent), number: true }, { title: "borrowed", value: p => count(p.borrowed), number: true },
      { title: "wait p99", value: p => p.acquire_wait_p99_ms === null ? "–" : p.acquire_wait_p99_ms.toFixed(2) + " ms", number: true },
      { title: "server", value: p => p.reachable === null ? "–" : p.reachable ? "reached" : "not reached", tone: p => p.reachable === false ? "bad" : "" },
      { title: "last error", value: p => p.last_error, wide: true }], pools);
  } catch (error) {
    byId("state").textContent = "no answer";
    byId("state").className = "pill bad";
  }
}
setInterval(() => { if (!document.hidden) refresh(); }, 1000);
refresh();
</script>
</html>
)html";

}  // namespace

http::Response status_page() {
  http::Response response = http::Response::html(document);
  response.headers["Content-Security-Policy"] =
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";
  response.headers["X-Content-Type-Options"] = "nosniff";
  response.headers["Cache-Control"] = "no-cache";
  return response;
}

}  // namespace sluice::admin
