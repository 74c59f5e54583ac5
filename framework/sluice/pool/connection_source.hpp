// Where SQL takes its connections from: a pool, or whatever stands for several of them (groups of servers, to come). All that sql::Database and
// sql::Pipeline ask for is here; what they get is a lease, which knows its own pool. One loop's own; outlives who uses it.
//
// A source of several pools answers for all of them at once: `options` are what holds for every call (timeouts, pipeline), `numbers` a sum, and
// `connector` one that speaks for all, for their connections must be of one driver.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/core/asio.hpp>
#include <sluice/pool/connector.hpp>
#include <sluice/pool/error.hpp>
#include <sluice/pool/lease.hpp>
#include <sluice/pool/wish.hpp>

#include <boost/assert/source_location.hpp>
#include <string>

namespace sluice::pool {

class ConnectionSource {
 public:
  // As Pool::acquire(). Both arguments are read before it returns, and no later.
  virtual awaitable<Lease> acquire(const Wish& wish, const boost::source_location& where) = 0;
  // As Pool::try_acquire(): for reading and writing.
  virtual Lease try_acquire(const boost::source_location& where) = 0;
  // A connection is idle, so that try_acquire() is worth its while.
  virtual bool may_lease() const noexcept = 0;

  virtual const std::string& name() const noexcept = 0;
  virtual const config::Pool& options() const noexcept = 0;
  virtual Connector& connector() const noexcept = 0;
  virtual Numbers numbers() const = 0;
  virtual const std::string& last_connect_error() const noexcept = 0;

 protected:
  ConnectionSource() noexcept = default;
  ConnectionSource(const ConnectionSource&) noexcept = default;
  ConnectionSource& operator=(const ConnectionSource&) noexcept = default;
  ~ConnectionSource() = default;  // nobody owns one by this name
};

}  // namespace sluice::pool
