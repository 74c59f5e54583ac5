// Statements that found no connection free, and travel together when one comes (pools.<name>.pipeline). One loop's own.
//
// They wait here in the order of their coming, for no connection in particular. Carriers wait in the pool's own queue like any caller;
// one that gets a connection takes a group along (Session::run_group), then the next one, for a short while, as long as nobody
// else waits for a connection. So a slow statement holds up its own group at most, and that only until pipeline_patience.
// What the group could not bring to its end travels again, twice at most, then it is handed back to run alone.
//
// Bounded: as many wait as may wait for a connection (queue_limit), as long as they may (acquire_timeout); one group at a time is on
// a connection, of pipeline_group statements, and of so many that they should take 5 ms.
#pragma once

#include <sluice/core/asio.hpp>
#include <sluice/core/loop_end.hpp>
#include <sluice/pool/connection_source.hpp>
#include <sluice/sql/known_texts.hpp>
#include <sluice/sql/session.hpp>
#include <sluice/sql/statement_watch.hpp>

#include <boost/assert/source_location.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace sluice::sql {

class Pipeline final : public LoopListener, public std::enable_shared_from_this<Pipeline> {
 public:
  // The references must outlive whoever waits here.
  Pipeline(pool::ConnectionSource& source, const SqlConnector& connector, std::shared_ptr<StatementWatch> watch);
  ~Pipeline();

  // What is known of the statement's text, judged by what the options allow; null: the text is too long to be remembered.
  KnownTextRef look_up(std::string_view sql);
  // Others travel, or wait for a connection.
  bool busy() const noexcept { return summoned_ + carriers_ > 0; }
  std::size_t waiting() const noexcept { return waiting_.size(); }

  // A statement on its way with others, or in the end alone. No coroutine: what waits is the caller, in one frame of Asio's, and its traveller.
  // REQUIRES: text->travels(). `running`: one that has begun already. Throws like Database::run.
  awaitable<Rows> travel(KnownTextRef text, std::vector<Value> parameters, std::optional<StatementWatch::Running> running, CallLimit limit,
                         const boost::source_location& where);

  void loop_ended() noexcept override;

 private:
  struct Traveller;
  struct Departure;
  using TravellerHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
  using Ticket = boost::intrusive_ptr<Traveller>;
  using Party = std::vector<Ticket>;

  void refuse_if_full() const;
  void depart(Traveller& traveller);
  void cancel(Traveller& traveller);
  void give_up(Traveller& traveller) noexcept;
  void leave(Traveller& traveller) noexcept;
  // The loop of the first call is that of all.
  void belong_to(const asio::any_io_executor& executor);
  void ring_by(TimePoint at);
  void ring();
  void summon(const boost::source_location& where);
  static awaitable<void> carry(std::shared_ptr<Pipeline> self, boost::source_location where);
  static awaitable<void> perform(std::shared_ptr<Pipeline> self, pool::Lease& lease, Party& party);
  Party take();
  static Duration together(const Party& party) noexcept;
  void arrive(Party& party, Duration took, TimePoint now);
  void tell(Party& party, TimePoint now);
  std::size_t concerned_by(pool::Phase phase) const noexcept;
  void fail(const std::exception_ptr& failure, std::size_t how_many);
  std::exception_ptr lateness(const Traveller& traveller, TimePoint now) const;
  std::uint32_t most_summoned() const noexcept;

  pool::ConnectionSource* source_;
  const SqlConnector* connector_;
  std::shared_ptr<StatementWatch> watch_;
  const bool all_;  // pipeline: all
  const std::uint32_t most_;
  const Duration patience_;
  KnownTexts texts_;
  std::deque<Ticket> waiting_;
  boost::intrusive::list<Traveller, boost::intrusive::base_hook<TravellerHook>, boost::intrusive::constant_time_size<false>> present_;  // also on the way
  asio::io_context* loop_ = nullptr;
  std::optional<asio::steady_timer> alarm_;
  TimePoint rings_ = TimePoint::max();  // max: the alarm is not set
  std::uint32_t summoned_ = 0;  // carriers that wait for a connection
  std::uint32_t carriers_ = 0;  // carriers that have one
};

}  // namespace sluice::sql
