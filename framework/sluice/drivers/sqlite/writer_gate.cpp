#include <sluice/drivers/sqlite/writer_gate.hpp>

namespace sluice::sqlite {

bool WriterGate::enter(const Stop& stop) {
  std::unique_lock lock(mutex_);
  if (!taken_) {
    taken_ = true;
    return true;
  }
  Waiter self;
  const auto place = waiting_.insert(waiting_.end(), &self);
  while (!self.turn) {
    if (stop.now()) {
      waiting_.erase(place);
      return false;
    }
    if (stop.deadline.is_never()) self.changed.wait(lock);
    else self.changed.wait_until(lock, stop.deadline.at);
  }
  return true;
}

void WriterGate::leave() {
  std::lock_guard lock(mutex_);
  if (waiting_.empty()) {
    taken_ = false;
    return;
  }
  Waiter* next = waiting_.front();  // the gate stays taken: it is handed over
  waiting_.pop_front();
  next->turn = true;
  next->changed.notify_one();
}

void WriterGate::wake() {
  std::lock_guard lock(mutex_);
  for (Waiter* waiter : waiting_) waiter->changed.notify_one();
}

}  // namespace sluice::sqlite
