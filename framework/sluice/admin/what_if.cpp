#include <sluice/admin/what_if.hpp>

#include <sluice/admin/views.hpp>
#include <sluice/budget/permit_table.hpp>
#include <sluice/budget/request.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <vector>

namespace sluice::admin {

using nlohmann::json;

namespace {

// What is in force while the target is another: a lower budget waits for connections to come back.
json transition(const shm::Segment& segment, std::uint32_t index) {
  using budget::RowState;
  const shm::Server& server = segment.servers()[index];
  const auto rows = segment.rows(index);
  const budget::Counts counts = budget::count(rows);
  const std::uint32_t in_force = static_cast<std::uint32_t>(rows.size()) - counts.of(RowState::disabled);
  const auto budget = static_cast<std::uint32_t>(server.budget.get());
  const std::uint64_t wished = server.wished_total.get();
  json out = {{"wished_total", wished == 0 ? json(nullptr) : json(wished)},
              {"in_force", in_force},
              {"to_come_back", in_force > budget && budget != 0 ? in_force - budget : 0},
              {"awaiting_proof", counts.of(RowState::quarantined)},
              {"holders", json::array()}};
  if (out["to_come_back"] == 0) return out;
  std::vector<std::uint32_t> held(segment.header().max_workers);
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const budget::Owner owner = budget::read(rows, i).owner;
    const bool holds = owner.state != RowState::disabled && owner.state != RowState::free && owner.state != RowState::quarantined;
    if (holds && owner.life.slot < held.size()) ++held[owner.life.slot];
  }
  for (std::uint32_t slot = 0; slot < held.size(); ++slot) {
    const std::uint32_t limit = segment.limits(index)[slot].load(std::memory_order_relaxed);
    if (held[slot] > limit) out["holders"].push_back({{"slot", slot}, {"held", held[slot]}, {"limit", limit}});
  }
  return out;
}

std::string transition_text(const json& server) {
  std::string out;
  if (const json wished = server.value("wished_total", json()); wished.is_number())
    out += text("  total ", wished.dump(), " was set while running (\"budget set ", server.value("server", ""), "=auto\" takes it back)\n");
  const int waits_for = server.value("to_come_back", 0);
  if (waits_for == 0) return out;
  out += text("  ", server.value("in_force", 0), " in force, ", waits_for, waits_for == 1 ? " has" : " have", " to come back");
  for (const json& holder : server.value("holders", json::array()))
    out += text("; worker ", holder.value("slot", 0), " holds ", holder.value("held", 0), " of ", holder.value("limit", 0));
  if (const int proof = server.value("awaiting_proof", 0); proof > 0) out += text("; ", proof, proof == 1 ? " waits" : " wait", " for the server's word that its session is gone");
  return out + "\n";
}

}  // namespace

json budget_view(const shm::Segment& segment, const WhatIf& what_if) {
  json out = json::array();
  for (std::uint32_t index = 0; index < segment.header().servers; ++index) {
    const shm::Server& server = segment.servers()[index];
    const auto wanted = static_cast<std::uint32_t>(read_totals(segment.published()).workers_wanted);
    budget::Request request = budget::request_of(server, std::max(1u, what_if.workers.value_or(wanted)));
    if (what_if.instances) request.instances = *what_if.instances;
    json one = {{"server", request.server}, {"workers", request.workers}, {"instances", request.instances}, {"refused", false},
                {"total", nullptr},         {"budget", nullptr},          {"limits", json::array()}};
    if (!budget::can_decide(request)) {
      one["arithmetic"] = "the server has not been asked yet how many connections it accepts";
    } else {
      const budget::Verdict verdict = budget::decide(request);
      one["refused"] = verdict.refused;
      one["total"] = verdict.total;
      one["budget"] = verdict.budget;
      one["arithmetic"] = verdict.arithmetic;
      if (!verdict.warning.empty()) one["warning"] = verdict.warning;
      for (std::uint32_t i = 0; i < request.workers && !verdict.refused; ++i)
        one["limits"].push_back(budget::limit_of(verdict.budget, request.confirm, request.workers, i));
    }
    one.update(transition(segment, index));
    out.push_back(std::move(one));
  }
  return out;
}

std::string budget_text(const json& budget) {
  std::string out;
  for (const json& server : budget) {
    out += server.value("arithmetic", "") + "\n";
    out += transition_text(server);
    if (server.contains("warning")) out += "! " + server["warning"].get<std::string>() + "\n";
  }
  return out.empty() ? "no pool is configured, so there is no budget\n" : out;
}

}  // namespace sluice::admin
