// The statements that run now, longest first: `ctl statements` and GET /api/statements. Without parameter values: what is in a
// statement's text was written by the application's author, not by its users.
#pragma once

#include <sluice/shm/segment.hpp>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace sluice::admin {

// Of every slot in which a life is. `now`: CLOCK_MONOTONIC nanoseconds. Pure.
nlohmann::json statements_view(const shm::Segment& segment, std::int64_t now);
std::string statements_text(const nlohmann::json& statements);

}  // namespace sluice::admin
