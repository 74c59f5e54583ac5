// The prepared statements that the server is known to have, least recently used last. Owns their handles; the session inserts
// a statement only once the server confirmed it, and closes what take_victim() names.
#pragma once

#include <sluice/drivers/mysql/placeholders.hpp>
#include <sluice/sql/result_set.hpp>

#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

struct st_mysql_stmt;

namespace sluice::mysql {

// A prepared statement. Its destruction says so to the server without waiting, if the handle was not freed before.
struct Prepared {
  Prepared(std::string text, Translated t, st_mysql_stmt* s) : key(std::move(text)), translated(std::move(t)), handle(s) {}
  ~Prepared();
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;

  std::string key;  // the statement as the user wrote it
  Translated translated;
  st_mysql_stmt* handle;
  bool plain = false;  // it leaves nothing behind in the session
  bool read = false;   // it may run in a session that is read-only

  sql::ColumnNames columns;  // of its last result
};

class StatementCache {
 public:
  explicit StatementCache(std::size_t capacity) : capacity_(capacity) {}

  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t size() const noexcept { return index_.size(); }

  // Null if it is not there.
  std::shared_ptr<Prepared> find(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return *found->second;
  }

  // Takes out the one that must go before another one fits; null if there is room.
  std::shared_ptr<Prepared> take_victim() { return index_.size() < capacity_ ? nullptr : take_last(); }
  // The least recently used one; null if there is none.
  std::shared_ptr<Prepared> take_last() {
    if (entries_.empty()) return nullptr;
    std::shared_ptr<Prepared> last = std::move(entries_.back());
    index_.erase(last->key);
    entries_.pop_back();
    return last;
  }

  // REQUIRES: size() < capacity(), and the key is not present.
  void insert(std::shared_ptr<Prepared> statement) {
    entries_.push_front(std::move(statement));
    index_.emplace(entries_.front()->key, entries_.begin());
  }

  void erase(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    const std::shared_ptr<Prepared> keep = *found->second;  // its text is the index's key
    entries_.erase(found->second);
    index_.erase(found);
  }

  void clear() {
    index_.clear();
    entries_.clear();
  }

 private:
  using Entries = std::list<std::shared_ptr<Prepared>>;
  std::size_t capacity_;
  Entries entries_;                                                // most recently used first
  std::unordered_map<std::string_view, Entries::iterator> index_;  // keys live in the entries
};

}  // namespace sluice::mysql
