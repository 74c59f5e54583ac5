// What a pool has learned about its statements' texts: with whom each may travel, and whether it is quick enough to be company for
// others. Pure; bounded: beyond `capacity` texts everything is forgotten and learned anew.
#pragma once

#include <sluice/core/clock.hpp>
#include <sluice/sql/session.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sluice::sql {

// One loop's own, as whoever holds it.
struct KnownText : boost::intrusive_ref_counter<KnownText, boost::thread_unsafe_counter> {
  std::string text;
  Sharing sharing = Sharing::none;
  bool measured = false;
  Duration takes{};  // on a connection of its own, lately

  // A statement in company keeps others waiting: only what is known to take less than this travels.
  static constexpr Duration quick_enough = 5ms;
  bool quick() const noexcept { return measured && takes < quick_enough; }
  bool travels() const noexcept { return sharing != Sharing::none && quick(); }
  // It ran alone and took so long. A first run, which prepares and finds everything cold, is soon forgotten.
  void learn(Duration took) noexcept {
    takes = !measured ? took : took < takes ? (takes + took) / 2 : (takes * 7 + took) / 8;
    measured = true;
  }
  // A group that was expected to take so long took less. Each has its part in that; who runs alone under load is measured with the
  // load, and would be thought slow for ever.
  void learn_in_company(Duration took, Duration expected) noexcept {
    if (expected > Duration::zero()) takes = (takes + Duration(static_cast<Duration::rep>(static_cast<double>(takes.count()) * took / expected))) / 2;
  }
  // A group with it took far too long: it is to be measured again before it has company.
  void suspect() noexcept { measured = false; }
};
using KnownTextRef = boost::intrusive_ptr<KnownText>;

class KnownTexts {
 public:
  explicit KnownTexts(std::size_t capacity = 4096) : capacity_(capacity) {}

  // `judge(text)` gives the Sharing of a text that is new. A pointer outlives its being forgotten.
  template <class Judge>
  const KnownTextRef& find(std::string_view text, Judge&& judge) {
    if (last_ && last_->text == text) return last_;  // most follow their like
    if (const auto known = texts_.find(text); known != texts_.end()) [[likely]]
      return last_ = known->second;
    if (texts_.size() >= capacity_) texts_.clear();
    KnownTextRef fresh(new KnownText);
    fresh->text = text;
    fresh->sharing = judge(text);
    const std::string_view key = fresh->text;
    return last_ = texts_.emplace(key, std::move(fresh)).first->second;
  }
  std::size_t size() const noexcept { return texts_.size(); }

 private:
  std::size_t capacity_;
  KnownTextRef last_;
  std::unordered_map<std::string_view, KnownTextRef> texts_;  // keys live in the values
};

// The even part of one connection, if so many carry, of statements that wait: a few are spread, so that they run side by side.
constexpr std::size_t group_size(std::size_t waiting, std::size_t carriers) noexcept {
  if (waiting <= carriers || carriers == 0) return 1;
  return (waiting + carriers - 1) / carriers;
}

}  // namespace sluice::sql
