// How the owner of a row has the janitor end what its session runs (KILL QUERY), where a driver cannot do so by itself: a word
// of the row (shm::Row::cancel). The owner asks and, before it uses the connection again, settles; the janitor takes, ends the
// statement, and is done. So a late KILL QUERY never meets the connection's next statement.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::pool {

class StatementCancel {
 public:
  explicit StatementCancel(std::atomic<std::uint32_t>& word) noexcept : word_(&word) {}

  // ---- owner
  void ask() noexcept {
    std::uint32_t nothing = none;
    word_->compare_exchange_strong(nothing, asked);
  }
  // True: nobody acts on a request any more. False: the janitor is about to; look again until it is done.
  bool settle() noexcept {
    std::uint32_t expected = asked;
    return word_->compare_exchange_strong(expected, none) || expected == none;
  }

  // ---- janitor
  bool is_asked() const noexcept { return word_->load() == asked; }
  // False: withdrawn meanwhile.
  bool take() noexcept {
    std::uint32_t expected = asked;
    return word_->compare_exchange_strong(expected, taken);
  }
  // After the server has carried out the request, or could not.
  void done() noexcept {
    std::uint32_t expected = taken;
    word_->compare_exchange_strong(expected, none);
  }

 private:
  static constexpr std::uint32_t none = 0, asked = 1, taken = 2;
  std::atomic<std::uint32_t>* word_;
};

}  // namespace sluice::pool
