// The arithmetic of the budget: pure functions, integers only. Refusals carry the same arithmetic as text.
//
//   auto   = floor((max_connections − reserved) × (100 − headroom %) / 100)
//   budget = floor(total / instances)
//   limit  = floor((budget − confirm) / workers), the remainder to the lowest slots
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace sluice::budget {

constexpr std::uint32_t auto_total(std::uint32_t max_connections, std::uint32_t reserved, std::uint32_t headroom_percent) noexcept {
  if (reserved >= max_connections || headroom_percent >= 100) return 0;
  return static_cast<std::uint32_t>(std::uint64_t{max_connections - reserved} * (100 - headroom_percent) / 100);
}

constexpr std::uint32_t budget_of(std::uint32_t total, std::uint32_t instances) noexcept { return instances == 0 ? 0 : total / instances; }

// The part of the worker that is `rank`th (from 0) in slot order.
constexpr std::uint32_t limit_of(std::uint32_t budget, std::uint32_t confirm, std::uint32_t workers, std::uint32_t rank) noexcept {
  if (workers == 0 || budget <= confirm) return 0;
  const std::uint32_t shared = budget - confirm;
  return shared / workers + (rank < shared % workers ? 1 : 0);
}

// What a server said about itself.
struct Answer {
  std::uint32_t max_connections = 0;
  std::uint32_t reserved = 0;
  std::uint32_t user_limit = 0;  // smallest of the role's and the database's limits; 0: none
};

struct Request {
  std::string server;
  std::uint32_t configured_total = 0;  // 0: auto
  std::uint32_t headroom_percent = 20;
  std::uint32_t instances = 1;
  std::uint32_t floor = 1;
  std::uint32_t confirm = 1;
  std::uint32_t capacity = 1024;
  std::uint32_t workers = 1;
  std::optional<Answer> answer;  // known for auto, and for a number once the server was asked
};

struct Verdict {
  std::uint32_t total = 0;
  std::uint32_t budget = 0;
  bool refused = false;
  std::string arithmetic;  // one line; says what to change if refused
  std::string warning;     // "" or one sentence
};

// Requires a configured total or an answer. Never cuts a configured number: it is used as it is or refused.
Verdict decide(const Request& request);

}  // namespace sluice::budget
