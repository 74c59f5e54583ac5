// What a traced child tells its tracer: system calls that do not exist, so that nothing happens and nothing is missed.
#pragma once

#include <unistd.h>

#include <cstdint>

namespace stepkill {

inline constexpr long phase_mark = 1'000'001;  // name
inline constexpr long step_mark = 1'000'002;   // name, 1 after the write and 0 before it

// `name` is a literal: the child is a fork, so the tracer finds it at the same address.
inline void mark_phase(const char* name) { ::syscall(phase_mark, name); }
inline void mark_step(const char* name, bool after) { ::syscall(step_mark, name, static_cast<long>(after)); }

}  // namespace stepkill
