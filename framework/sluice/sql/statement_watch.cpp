#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/sql/error.hpp>
#include <sluice/sql/row.hpp>
#include <sluice/sql/statement_watch.hpp>

#include <algorithm>
#include <utility>

namespace sluice::sql {
namespace {

constexpr std::size_t longest_value = 64;
constexpr std::size_t longest_shown = 240;
// Other pools of the slot give entries back, too, and tell nobody.
constexpr Duration look_again = 1ms;

std::string describe(const Value& value) {
  struct Writer {
    std::string operator()(Null) const { return "NULL"; }
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(std::uint64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return text(v); }
    std::string operator()(const std::string& v) const {
      const std::string shown = shorten(v.substr(0, longest_value));
      return text("'", shown, v.size() > longest_value ? "…" : "", "'");
    }
    std::string operator()(const Bytes& v) const { return text(v.size(), " bytes"); }
    std::string operator()(Timestamp v) const { return format_timestamp(v); }
    std::string operator()(const Decimal& v) const { return v.text(); }
    std::string operator()(Date v) const { return format_date(v); }
    std::string operator()(Time v) const { return format_time(v); }
    std::string operator()(const Uuid& v) const { return format_uuid(v); }
    std::string operator()(const Array& v) const { return text("array of ", v.elements.size()); }
  };
  return std::visit(Writer{}, value);
}

}  // namespace

std::string describe_parameters(const std::vector<Value>& parameters) {
  std::string out;
  for (std::size_t i = 0; i < parameters.size(); ++i) out += text(i ? ", " : "", "$", i + 1, "=", describe(parameters[i]));
  return out;
}

StatementWatch::StatementWatch(std::string pool, StatementBoard board, Duration slow, bool log_parameters)
    : pool_(std::move(pool)), board_(board), slow_(slow), log_parameters_(log_parameters), written_(board.running.size()) {}

// A free entry. With all of them taken the statement runs unseen: 32 at once are more than a list needs.
shm::RunningStatement* StatementWatch::show(std::string_view sql, std::uint64_t session, TimePoint started) noexcept {
  if (started < full_until_) return nullptr;
  const std::size_t entries = board_.running.size();
  for (std::size_t looked = 0; looked < entries; ++looked) {
    const std::size_t i = look_first_ < entries ? look_first_ : 0;
    look_first_ = i + 1;
    shm::RunningStatement& entry = board_.running[i];
    if (entry.started_nanos.get() != 0) continue;
    const std::string_view shown = sql.substr(0, longest_shown);
    // Another pool of the slot may have used the entry since; it says so by its number.
    if (entry.pool.get() != board_.pool || written_[i] != shown) {
      entry.text.set(shown);
      written_[i] = shown;
    }
    entry.pool.set(board_.pool);
    entry.session.set(session);
    entry.started_nanos.publish(static_cast<std::uint64_t>(to_nanos(started)));
    return &entry;
  }
  full_until_ = started + look_again;
  return nullptr;
}

void StatementWatch::hide(shm::RunningStatement& entry) noexcept {
  entry.started_nanos.set(0);
  look_first_ = static_cast<std::size_t>(&entry - board_.running.data());
  full_until_ = TimePoint();
}

void StatementWatch::log_slow(std::string_view sql, const std::string& parameters, Duration took, bool succeeded) const {
  log::warning(text("slow statement on pool ", pool_, ": ", to_millis(took), " ms", succeeded ? "" : ", failed", ": ", shorten(std::string(sql)),
                    parameters.empty() ? "" : text(" with ", parameters)));
}

StatementWatch::Running::Running(StatementWatch& watch, std::string_view sql, const std::vector<Value>* parameters)
    : watch_(&watch), own_(std::make_unique<Texts>()) {
  own_->sql = sql;
  sql_ = own_->sql;
  keep_parameters(parameters);
}

StatementWatch::Running::Running(StatementWatch& watch, const KnownText& known, const std::vector<Value>* parameters)
    : watch_(&watch), sql_(known.text) {
  keep_parameters(parameters);
}

void StatementWatch::Running::keep_parameters(const std::vector<Value>* parameters) {
  if (!watch_->log_parameters_ || !parameters) return;
  if (!own_) own_ = std::make_unique<Texts>();
  own_->parameters = describe_parameters(*parameters);
}

StatementWatch::Running::Running(Running&& other) noexcept
    : watch_(std::exchange(other.watch_, nullptr)),
      own_(std::move(other.own_)),
      sql_(other.sql_),
      entry_(std::exchange(other.entry_, nullptr)),
      started_(other.started_),
      ended_(other.ended_),
      succeeded_(other.succeeded_) {}

void StatementWatch::Running::on(const Session& session, TimePoint now) noexcept {
  if (entry_) watch_->hide(*entry_);  // it was with another session before
  started_ = now;
  entry_ = watch_->show(sql_, session.session, started_);
}

StatementWatch::Running::~Running() {
  if (!watch_) return;
  if (entry_) watch_->hide(*entry_);
  if (shm::PoolStats* stats = watch_->board_.stats) {
    stats->statements.add();
    if (!succeeded_) stats->statement_errors.add();
  }
  if (watch_->slow_ <= Duration::zero() || started_ == TimePoint{}) return;
  const Duration took = (ended_ == TimePoint{} ? Clock::now() : ended_) - started_;
  if (took >= watch_->slow_) watch_->log_slow(sql_, own_ ? own_->parameters : std::string(), took, succeeded_);
}

}  // namespace sluice::sql
