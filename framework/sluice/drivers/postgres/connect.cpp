#include <sluice/drivers/postgres/connect.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/offload.hpp>
#include <sluice/core/text.hpp>

#include <libpq-fe.h>
#include <netdb.h>
#include <sys/socket.h>
#include <boost/asio/ip/address.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace sluice::postgres {
namespace {

// client_connection_check_interval (PostgreSQL 14): a session whose client is gone ends within half a second even while it
// runs a long statement. datestyle: results are read in ISO form.
constexpr const char* our_options = "-c client_connection_check_interval=500 -c datestyle=ISO";

// Blocking; runs on a thread of its own. Addresses in the resolver's order, without repetitions.
std::vector<std::string> look_up(const std::string& host) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    throw Error(text("the name ", host, " does not resolve: ", ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* entry = found; entry; entry = entry->ai_next) {
    std::array<char, NI_MAXHOST> buffer;
    if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, buffer.data(), buffer.size(), nullptr, 0, NI_NUMERICHOST) != 0) continue;
    if (addresses.empty() || addresses.back() != buffer.data()) addresses.emplace_back(buffer.data());
  }
  return addresses;
}

bool is_literal(const std::string& host) {
  error_code error;
  asio::ip::make_address(host, error);
  return !error;
}

void log_notice(void*, const char* message) { log::debug(text("postgres: ", message ? message : "")); }

}  // namespace

// How far a connect has come. `session` or a cause.
struct Dialer::Attempt {
  std::unique_ptr<PostgresSession> session;
  ConnectCause cause;
  bool released = true;
};

awaitable<std::unique_ptr<PostgresSession>> Dialer::dial(Deadline deadline) {
  // A cancelled caller must not stop the clean-up half-way.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  Attempt attempt;
  std::string unexpected;
  try {
    co_await try_all(deadline, attempt);
  } catch (const std::exception& e) {
    unexpected = e.what();
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (attempt.session) co_return std::move(attempt.session);
  if (!unexpected.empty()) attempt.cause.text = unexpected;
  throw pool::ConnectFailed(text(settings_.place(), ": ", attempt.cause.text), attempt.released, attempt.cause.permanent);
}

awaitable<void> Dialer::try_all(Deadline deadline, Attempt& attempt) {
  std::vector<std::string> addresses = {settings_.address};
  if (!settings_.local() && settings_.address.empty()) {
    if (is_literal(settings_.host)) {
      addresses = {settings_.host};
    } else {
      auto resolve = [host = settings_.host] { return look_up(host); };
      try {
        addresses = co_await offload(std::move(resolve), deadline);
      } catch (const TimedOut&) {
        attempt.cause.text = text("the name ", settings_.host, " was not resolved before the deadline");
        co_return;
      }
    }
  }
  if (addresses.empty()) attempt.cause.text = text("the name ", settings_.host, " has no address");
  for (const std::string& address : addresses) {
    const std::vector<TlsMode> modes = settings_.tls;
    for (TlsMode tls : modes) {
      const bool options = startup_options_;
      co_await try_once(address, tls, deadline, attempt);
      if (!attempt.session && attempt.released && options && !startup_options_) co_await try_once(address, tls, deadline, attempt);
      const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
      // The mode that the server likes comes first from now on: with prefer or allow every connect would start with a refusal.
      if (attempt.session) std::stable_partition(settings_.tls.begin(), settings_.tls.end(), [tls](TlsMode mode) { return mode == tls; });
      if (attempt.session || !attempt.released || state.cancelled() != asio::cancellation_type::none || deadline.passed(Clock::now())) co_return;
      // With prefer and allow the other mode helps where the server has no TLS, or where pg_hba.conf asks for the other one.
      if (!attempt.cause.no_tls && attempt.cause.sqlstate != "28000") break;
    }
    if (!attempt.cause.sqlstate.empty()) co_return;  // the server answered: its other addresses would say the same
  }
}

awaitable<void> Dialer::try_once(const std::string& address, TlsMode tls, Deadline deadline, Attempt& attempt) {
  attempt.cause = {};
  std::string options = settings_.options;
  if (startup_options_) options += text(options.empty() ? "" : " ", our_options);
  std::vector<const char*> names, values;
  const auto set = [&](const char* name, const std::string& value) {
    if (value.empty()) return;
    names.push_back(name);
    values.push_back(value.c_str());
  };
  const std::string mode = tls, utf8 = "UTF8", off = "disable";
  for (const auto& [name, value] : settings_.parameters) set(name.c_str(), value);
  set("host", settings_.host);
  set("hostaddr", address);
  set("port", settings_.port);
  set("sslmode", mode);
  set("gssencmode", off);
  set("application_name", settings_.application);
  set("client_encoding", utf8);
  set("options", options);
  names.push_back(nullptr);
  values.push_back(nullptr);

  const auto executor = co_await asio::this_coro::executor;
  PGconn* const connection = PQconnectStartParams(names.data(), values.data(), 0);
  if (!connection) throw Error("out of memory");
  attempt.released = false;  // until proven, whatever is thrown on the way
  auto wire = std::make_unique<Wire>(executor, connection);
  PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
  PQsetNoticeProcessor(connection, log_notice, nullptr);

  co_await negotiate(*wire, deadline, attempt);
  if (attempt.cause.text.empty()) {
    PQsetnonblocking(connection, 1);
    PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
    auto session = std::make_unique<PostgresSession>(std::move(wire), settings_);
    co_await identify(*session, deadline, attempt);
    if (attempt.cause.text.empty()) {
      attempt.session = std::move(session);
      co_return;
    }
    const bool gone = co_await session->close(Deadline::after(settings_.close_timeout));
    attempt.released = gone;
    co_return;
  }
  const bool gone = co_await wire->farewell(Deadline::after(settings_.close_timeout));
  attempt.released = gone;
}

// libpq's connect, step by step, until it is through or `attempt.cause` says why not.
awaitable<void> Dialer::negotiate(Wire& wire, Deadline deadline, Attempt& attempt) {
  PGconn* const connection = wire.get();
  PostgresPollingStatusType next = PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
    wire.follow();
    const Wake wake = co_await wire.wait(next == PGRES_POLLING_READING, next == PGRES_POLLING_WRITING, deadline);
    const bool connected = wire.connected();  // before libpq can meet and hide a reset
    if (wake == Wake::cancelled) {
      attempt.cause.text = "the connect was cancelled";
      co_return;
    }
    if (wake == Wake::expired) {
      attempt.cause.text = connected
                               ? text("the server accepted, but did not complete ",
                                      PQstatus(connection) == CONNECTION_SSL_STARTUP ? "the TLS handshake" : "the login", " before the deadline")
                               : "no answer before the deadline";
      co_return;
    }
    next = PQconnectPoll(connection);
  }
  wire.follow();
  if (next == PGRES_POLLING_OK) co_return;
  const std::string_view message = PQerrorMessage(connection);
  attempt.cause = connect_cause(message, settings_.pool);
  const bool refused_options =
      message.find("client_connection_check_interval") != message.npos || message.find("unsupported startup parameter") != message.npos;
  if (startup_options_ && refused_options) {
    startup_options_ = false;
    log::warning(text("pool ", settings_.pool, ": the server refuses startup options (", attempt.cause.text,
                      "); long statements of dead clients will end only when they are done"));
  }
}

// Learns what names this session for ever: process id and start time, as pg_stat_activity shows them.
awaitable<void> Dialer::identify(PostgresSession& session, Deadline deadline, Attempt& attempt) {
  std::string question = "SELECT pg_backend_pid(), coalesce((extract(epoch FROM backend_start) * 1000000)::bigint, 0) FROM pg_stat_get_activity(pg_backend_pid())";
  try {
    const sql::Rows rows = co_await session.ask(std::move(question), deadline);
    const auto pid = rows[0][0].as<std::int64_t>();
    if (session.announced_pid() == pid) {
      session.session = static_cast<std::uint64_t>(pid);
      session.session_birth = static_cast<std::uint64_t>(rows[0][1].as<std::int64_t>());
      co_return;
    }
  } catch (const sql::SqlError& e) {
    attempt.cause.text = text("connected, but the first statement failed: ", e.what());
    attempt.cause.sqlstate = e.sqlstate();
    co_return;
  } catch (const TimedOut&) {
    attempt.cause.text = "connected, but the first statement had no answer before the deadline";
    co_return;
  } catch (const boost::system::system_error&) {
    attempt.cause.text = "the connect was cancelled";
    co_return;
  }
  // A pooler sits in between: its sessions are not ours to name, so this connection stays nameless (session 0).
  if (!std::exchange(warned_of_pooler_, true)) {
    log::warning(text("pool ", settings_.pool, ": a connection pooler answers at ", settings_.place(),
                      "; set via: proxy for its server, or connect to PostgreSQL directly"));
  }
}

}  // namespace sluice::postgres
