// Stacks for code that may stop in the middle: a simulated process that is paused inside the real code keeps its stack, and
// another stack goes on with the simulation; a killed one is never continued. Switching costs nothing unless somebody stops.
#pragma once

#include <csetjmp>
#include <functional>
#include <memory>
#include <ucontext.h>
#include <vector>

namespace sluice::sim {

class Stacks {
 public:
  struct Stack;

  Stacks();
  ~Stacks();

  // Calls `step` again and again, on one stack or another, until it returns false.
  void run(std::function<bool()> step);

  // ---- from within a step

  // Stops here; other steps run. Returns when somebody resumes present()'s value from before the call; never, if it is dropped.
  void suspend();
  Stack* present() const noexcept { return present_; }
  // The suspended one goes on now, in place of the present step, which must have nothing left to do.
  void resume(Stack* suspended);
  // It is never continued, and its destructors do not run.
  void drop(Stack* suspended) noexcept;
  // The present step ends here; what it has on the stack is dropped.
  [[noreturn]] void abandon() noexcept;

 private:
  static void enter(unsigned high, unsigned low);
  void stepping();
  void go(Stack* to);
  Stack* spare();

  std::function<bool()> step_;
  std::vector<std::unique_ptr<Stack>> all_;
  std::vector<Stack*> spare_;
  Stack* present_ = nullptr;
  bool running_ = false;
};

}  // namespace sluice::sim
