// The prepared statements that the server is known to have, least recently used last. Pure bookkeeping: the session inserts a
// statement only once the server confirmed it, and deallocates what make_room() names.
#pragma once

#include <sluice/drivers/postgres/values.hpp>

#include <algorithm>
#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sluice::postgres {

class StatementCache {
 public:
  explicit StatementCache(std::size_t capacity) : capacity_(capacity) {}

  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t size() const noexcept { return index_.size(); }

  struct Entry {
    std::string key;
    std::string name;                    // on the server
    bool plain;                          // it leaves nothing behind in the session
    std::optional<unsigned> parameters;  // so many it takes, if that is known
    RowShape shape;                      // of its results
    bool described = false;              // the shape is known, and stays

    // The columns stay what they are: of queries the number of parameters is known (traces.hpp), of utility statements not.
    bool fixed() const noexcept { return parameters.has_value(); }
  };

  // Null: not present. Valid until the next change.
  Entry* find(std::string_view key) {
    if (!entries_.empty() && entries_.front().key == key) return &entries_.front();  // most follow their like
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &*found->second;
  }

  // The name of the statement that must be deallocated before another one fits.
  std::optional<std::string> victim() const {
    if (index_.size() < capacity_ || entries_.empty()) return std::nullopt;
    return entries_.back().name;
  }

  // The names of so many that were used least.
  std::vector<std::string> victims(std::size_t count) const {
    std::vector<std::string> names;
    for (auto entry = entries_.rbegin(); entry != entries_.rend() && names.size() < count; ++entry) names.push_back(entry->name);
    return names;
  }
  // After the server let the statement of this name go.
  void drop(std::string_view name) {
    const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
    if (entry == entries_.end()) return;
    index_.erase(entry->key);
    entries_.erase(entry);
  }
  // After the server let the victim go.
  void drop_victim() {
    index_.erase(entries_.back().key);
    entries_.pop_back();
  }

  // REQUIRES: the key is not present. Beyond the capacity only until the caller has let victims() go.
  void insert(std::string key, std::string name, bool plain = false, std::optional<unsigned> parameters = std::nullopt) {
    entries_.push_front(Entry{std::move(key), std::move(name), plain, parameters, {}, false});
    index_.emplace(entries_.front().key, entries_.begin());
  }

  void erase(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    const auto entry = found->second;
    index_.erase(found);
    entries_.erase(entry);
  }

  void clear() {
    index_.clear();
    entries_.clear();
  }

 private:
  std::size_t capacity_;
  std::list<Entry> entries_;                                                // most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> index_;  // keys live in entries_
};

}  // namespace sluice::postgres
