#include <sluice/admin/what_if.hpp>

#include <sluice/admin/views.hpp>
#include <sluice/budget/request.hpp>

#include <algorithm>

namespace sluice::admin {

using nlohmann::json;

json budget_view(const shm::Segment& segment, const WhatIf& what_if) {
  json out = json::array();
  for (const shm::Server& server : segment.servers()) {
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
    out.push_back(std::move(one));
  }
  return out;
}

std::string budget_text(const json& budget) {
  std::string out;
  for (const json& server : budget) {
    out += server.value("arithmetic", "") + "\n";
    if (server.contains("warning")) out += "! " + server["warning"].get<std::string>() + "\n";
  }
  return out.empty() ? "no pool is configured, so there is no budget\n" : out;
}

}  // namespace sluice::admin
