// Fixed-size messages on the socket pair between the master and each of its children. One message is one packet.
// Receivers check length, type and ranges; anything else is dropped and counted: the master trusts no child.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace sluice::shm {

enum class MessageType : std::uint32_t {
  // master → worker process
  start_worker = 1,  // slot, generation, value = kind (thread mode)
  drain_worker,      // slot, generation: graceful end
  stop_worker,       // slot, generation: fast end
  reopen_logs,
  // worker process → master
  worker_ready = 20,  // slot, generation
  worker_ended,       // slot, generation, value = exit code; text: why
  // admin → master; answered by `reply` with the same `id`
  scale = 40,         // slot = kind index, value = number, flag: 0 absolute, 1 relative
  stop_instance,      // flag: 0 graceful, 1 fast
  restart,            // flag: 0 every worker, 1 those of kind `slot`, 2 the one in slot `slot`; the reply's generation: the rollout's number
  set_budget,         // slot = server index, value = total; 0: as configured
  // master → admin
  reply = 60,         // id; value: 0 done, else ExitCode; text: the answer
};

struct Message {
  MessageType type{};
  std::uint32_t slot = 0;
  std::uint64_t generation = 0;
  std::int64_t value = 0;
  std::uint32_t flag = 0;
  std::uint32_t id = 0;
  char text[352] = {};

  void set_text(std::string_view s) noexcept {
    const std::size_t n = s.size() < sizeof text - 1 ? s.size() : sizeof text - 1;
    std::memcpy(text, s.data(), n);
    text[n] = 0;
  }
  std::string_view get_text() const noexcept { return {text, ::strnlen(text, sizeof text)}; }
};
static_assert(sizeof(Message) == 384);

enum class Received { message, none, closed, malformed };

// Non-blocking. send: false if the peer is gone or its queue is full.
bool send(int socket, const Message& message) noexcept;
Received receive(int socket, Message& message) noexcept;

}  // namespace sluice::shm
