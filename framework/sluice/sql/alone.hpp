// A statement of autocommit with a connection of its own.
#pragma once

#include <sluice/pool/connection_source.hpp>
#include <sluice/sql/known_texts.hpp>
#include <sluice/sql/session.hpp>
#include <sluice/sql/statement_watch.hpp>

#include <boost/assert/source_location.hpp>
#include <optional>

namespace sluice::sql {

class Pipeline;

// The call's own, or now and the source's statement_timeout.
Deadline statement_deadline(const pool::ConnectionSource& source, Deadline overall) noexcept;

// Waits no longer than `overall` and the source's acquire_timeout. The references must outlive the call only.
awaitable<pool::Lease> lease_from(pool::ConnectionSource& source, Deadline overall, const boost::source_location& where, bool read_only = false);

// `company`: takes it where no connection is free; null: it waits for its own. `known`: has the text, that of `statement` may be empty then,
// and learns how long it took; null: nobody does. `running`: where the statement is watched already. Throws like Database::run. What the
// references name must outlive it.
awaitable<Rows> run_alone(pool::ConnectionSource& source, StatementWatch& watch, Pipeline* company, Statement statement, KnownTextRef known,
                          std::optional<StatementWatch::Running> running, CallLimit limit, boost::source_location where);

}  // namespace sluice::sql
