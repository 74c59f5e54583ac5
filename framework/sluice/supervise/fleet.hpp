// Which slots shall have workers: pure planning for start and for scaling.
#pragma once

#include <sluice/supervise/slot_machine.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sluice::supervise {

struct KindCount {
  std::string name;
  std::uint32_t workers = 0;
};

struct ScalePlan {
  std::vector<std::uint32_t> add;     // empty slots, lowest first
  std::vector<std::uint32_t> remove;  // wanted slots of the kind, highest first; never the additional worker of a rolling restart
  std::uint32_t before = 0;
  std::uint32_t after = 0;
  std::string refusal;  // not empty: nothing may be done; says why and what to do
};

// `target`: the wanted number of workers of `kind`, or a change of it if `relative`.
ScalePlan plan_scale(std::span<const SlotMachine> slots, std::uint32_t kind, std::string_view kind_name, std::int64_t target, bool relative);

}  // namespace sluice::supervise
