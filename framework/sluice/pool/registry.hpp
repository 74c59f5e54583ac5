// Maps URL schemes to drivers. A driver registers itself by a static object when it is linked (object library); no code names one.
#pragma once

#include <sluice/config/config.hpp>
#include <sluice/pool/connector.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::pool {

// Who connects: goes into the session's name on the server as "<instance>.<nonce>:<slot>.<generation>" (63 bytes at most).
struct Identity {
  std::string instance;
  std::string nonce;  // 8 hex digits
  std::uint32_t slot = 0;
  std::uint64_t generation = 0;
  std::string text() const;
};

// The inverse of Identity::text(); nothing for names that are none.
std::optional<Identity> parse_identity(std::string_view text);

// What a server answers about its capacity.
struct Capacity {
  std::uint32_t max_connections = 0;
  std::uint32_t reserved = 0;
  std::uint32_t user_limit = 0;  // smallest of the role's and the database's limits; 0: none
  Duration authentication_timeout = 60s;
};

// What ties a session that a server shows to this instance.
enum class KnownBy : std::uint8_t {
  name,  // its identity
  user,  // nothing but the user, where the server's list has no names (MySQL): ours if a row holds its id, else perhaps
  id,    // another user's: ours if a row holds its id
};

// A session that the server shows, if it belongs to this instance id (any boot nonce), or may.
struct SeenSession {
  std::uint64_t session = 0;
  std::uint64_t birth = 0;
  Identity identity;
  Duration age{};  // by the server's own clock
  KnownBy known_by = KnownBy::name;
  bool older = true;  // without a name: it began before the asker's own session did
};

// The role may not see what is asked for; the text names the missing right.
class Forbidden : public Error {
 public:
  using Error::Error;
};

// The janitor's view of a server: one connection, used on one loop. Calls throw sluice::Error with the reason.
class Inspector {
 public:
  virtual ~Inspector() = default;
  virtual awaitable<void> open(Deadline deadline) = 0;
  virtual awaitable<Capacity> capacity(Deadline deadline) = 0;
  // Every session of this instance id except the inspector's own.
  virtual awaitable<std::vector<SeenSession>> sessions(Deadline deadline) = 0;
  // Is a session that sessions() did not show really gone? For servers that hide what others' users do.
  virtual awaitable<bool> absent(std::uint64_t /*session*/, std::uint64_t /*birth*/, Deadline) { co_return true; }
  // Ends what the session runs, not the session, and returns when it cannot hit a later statement any more. False: it is gone,
  // or the backend's connections do this themselves.
  virtual awaitable<bool> cancel(std::uint64_t /*session*/, std::uint64_t /*birth*/, Deadline) { co_return false; }
  // Ends the session if id, birth and identity still match. False: it is gone already. Throws Forbidden if it is another role's.
  virtual awaitable<bool> end(const SeenSession& session, Deadline deadline) = 0;
  virtual awaitable<CloseResult> close(Deadline deadline) noexcept = 0;
  // The inspector's own session (0 before open()).
  virtual std::uint64_t session() const noexcept = 0;
  virtual std::uint64_t session_birth() const noexcept = 0;
};

struct Driver {
  std::vector<std::string> schemes;  // "postgres", "postgresql"
  std::string display_name;          // "PostgreSQL"
  bool local = false;                // sessions end with the process, close is its own proof (SQLite); no janitor, no confirm permit
  // Throws config-like sluice::Error for a malformed url or option; must not connect.
  std::unique_ptr<Connector> (*make_connector)(const config::Pool& pool, const Identity& identity) = nullptr;
  std::unique_ptr<Inspector> (*make_inspector)(const config::Pool& pool, const Identity& identity) = nullptr;  // null: none
};

// Called by static objects before main. Two drivers for one scheme: the program aborts with a message.
struct Register {
  explicit Register(Driver driver);
};

// Null if no linked driver has the scheme.
const Driver* find_driver(std::string_view scheme) noexcept;
std::vector<std::string> known_schemes();
// "postgres" of "postgres://…", "sqlite" of "sqlite:file"; "" if there is none.
std::string scheme_of(std::string_view url);

}  // namespace sluice::pool
