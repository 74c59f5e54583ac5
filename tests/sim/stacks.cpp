#include <sim/stacks.hpp>

#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define SLUICE_SIM_ADDRESS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLUICE_SIM_ADDRESS 1
#endif
#endif
#ifdef SLUICE_SIM_ADDRESS
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace sluice::sim {
namespace {

constexpr std::size_t stack_bytes = 128 << 10;

}  // namespace

struct Stacks::Stack {
  ucontext_t context{};
  std::jmp_buf loop;
  bool dropped = false;  // what it was doing shall not go on
  std::unique_ptr<char[]> memory;
#ifdef SLUICE_SIM_ADDRESS
  void* fake = nullptr;
  const void* bottom = nullptr;
  std::size_t size = 0;
#endif
};

Stacks::Stacks() {
  all_.push_back(std::make_unique<Stack>());  // the caller's own
}

Stacks::~Stacks() = default;

void Stacks::run(std::function<bool()> step) {
  step_ = std::move(step);
  running_ = true;
  present_ = all_.front().get();
  stepping();
  for (Stack* s : spare_) s->dropped = true;  // the frames that they hold belong to this run
}

// Each stack runs this for ever; whichever finds the end lets the caller's stack return.
void Stacks::stepping() {
  Stack* const self = present_;
  Stack* const main = all_.front().get();
  static_cast<void>(_setjmp(self->loop));  // abandon() comes back here
  for (;;) {
    while (running_ && step_()) {
    }
    running_ = false;
    if (self == main) return;
    std::erase(spare_, main);
    main->dropped = true;  // whatever it was in the middle of
    spare_.push_back(self);
    go(main);
  }
}

void Stacks::enter(unsigned high, unsigned low) {
  auto* self = reinterpret_cast<Stacks*>(static_cast<std::uintptr_t>(high) << 32 | low);
#ifdef SLUICE_SIM_ADDRESS
  Stack& main = *self->all_.front();
  // The first stack that is switched to is left from the caller's own: so it is told where that one is.
  __sanitizer_finish_switch_fiber(nullptr, main.bottom ? nullptr : &main.bottom, main.bottom ? nullptr : &main.size);
#endif
  self->stepping();
}

Stacks::Stack* Stacks::spare() {
  if (!spare_.empty()) {
    Stack* s = spare_.back();
    spare_.pop_back();
    return s;
  }
  auto stack = std::make_unique<Stack>();
  stack->memory = std::make_unique<char[]>(stack_bytes);
  ::getcontext(&stack->context);
  stack->context.uc_stack.ss_sp = stack->memory.get();
  stack->context.uc_stack.ss_size = stack_bytes;
  stack->context.uc_link = nullptr;
  const auto self = reinterpret_cast<std::uintptr_t>(this);
  ::makecontext(&stack->context, reinterpret_cast<void (*)()>(&Stacks::enter), 2, static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
#ifdef SLUICE_SIM_ADDRESS
  stack->bottom = stack->memory.get();
  stack->size = stack_bytes;
#endif
  all_.push_back(std::move(stack));
  return all_.back().get();
}

void Stacks::go(Stack* to) {
  Stack* const from = std::exchange(present_, to);
#ifdef SLUICE_SIM_ADDRESS
  __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->size);
#endif
  ::swapcontext(&from->context, &to->context);
#ifdef SLUICE_SIM_ADDRESS
  __sanitizer_finish_switch_fiber(from->fake, nullptr, nullptr);
#endif
  if (std::exchange(from->dropped, false)) abandon();
}

void Stacks::suspend() { go(spare()); }

void Stacks::resume(Stack* suspended) {
  spare_.push_back(present_);
  go(suspended);
}

void Stacks::drop(Stack* suspended) noexcept {
  suspended->dropped = true;
  spare_.push_back(suspended);
}

void Stacks::abandon() noexcept { _longjmp(present_->loop, 1); }

}  // namespace sluice::sim
