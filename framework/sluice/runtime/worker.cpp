#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>
#include <sluice/runtime/worker.hpp>
#include <sluice/runtime/worker_life.hpp>
#include <sluice/sql/session.hpp>

namespace sluice {

pool::Pool& WorkerContext::pool(std::string_view name) {
  const auto it = life_->pools_.find(name);
  if (it != life_->pools_.end()) return it->second;
  std::string known;
  for (const auto& [n, p] : life_->pools_) known += (known.empty() ? "" : ", ") + n;
  throw Error(text("there is no pool '", name, "'; configured: ", known.empty() ? "none (set --pools.<name>.url)" : known));
}

sql::Database& WorkerContext::sql(std::string_view name) {
  const auto it = life_->databases_.find(name);
  if (it != life_->databases_.end()) return it->second;
  pool(name);
  throw Error(text("pool '", name, "' does not speak SQL; use context().pool(\"", name, "\")"));
}

const config::Config& WorkerContext::config() const noexcept { return *life_->inputs_.config; }
std::string_view WorkerContext::kind() const noexcept { return life_->inputs_.kind_name; }
std::uint32_t WorkerContext::slot() const noexcept { return life_->inputs_.slot; }
std::uint64_t WorkerContext::generation() const noexcept { return life_->inputs_.generation; }
asio::io_context& WorkerContext::loop() noexcept { return *life_->loop_; }
bool WorkerContext::draining() const noexcept { return life_->drain_asked_ || life_->stop_asked_; }
awaitable<void> WorkerContext::until_draining() { return life_->until_asked(); }
shm::Slot& WorkerContext::statistics() noexcept { return life_->shared(); }

int WorkerContext::listener(std::string_view name) const noexcept {
  for (const auto& [n, fd] : life_->inputs_.listeners) {
    if (n == name) return fd;
  }
  return -1;
}

}  // namespace sluice
