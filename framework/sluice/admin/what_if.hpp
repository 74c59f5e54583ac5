// `ctl budget --what-if workers=8 instances=3`: the arithmetic of every server's budget for numbers that are not in force.
// Pure: the same function decides that decides for real.
#pragma once

#include <sluice/shm/segment.hpp>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace sluice::admin {

struct WhatIf {
  std::optional<std::uint32_t> workers;    // absent: as many as the instance is meant to have
  std::optional<std::uint32_t> instances;  // absent: as configured
};

// [{"server", "workers", "instances", "refused", "total", "budget", "limits": [6, 6], "arithmetic", "wished_total", "in_force", "to_come_back",
// "holders": [{"slot", "held", "limit"}], "awaiting_proof"}]; "total" and what follows from it is null while the server has not been
// asked. in_force: how many permits exist now; while a lower budget waits, to_come_back of them are too many, and holders have more
// than their part of the new one.
nlohmann::json budget_view(const shm::Segment& segment, const WhatIf& what_if);

std::string budget_text(const nlohmann::json& budget);

}  // namespace sluice::admin
