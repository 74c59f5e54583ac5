// The seam of the proofs: whoever writes an owner word says so, before and after. Nobody listens in production; the
// simulator and the step-kill test stop or kill their worker here.
#pragma once

#include <cstdint>

namespace sluice::budget {

enum class Moment : std::uint8_t { before, after };

// `what` names the step ("claim", "connected", "grant", …); `word` is the owner word to be, or that has been, written.
using StepListener = void (*)(const char* what, Moment moment, std::uint64_t word);
inline constinit StepListener step_listener = nullptr;  // set before the threads that write; one for the process

inline void step(const char* what, Moment moment, std::uint64_t word) {
  if (step_listener) [[unlikely]]
    step_listener(what, moment, word);
}

}  // namespace sluice::budget
