// The servers of the chaos test, each of a size that refuses the application's 18th session: what they refused, what they
// hold, and their restarts. One permanent superuser connection observes; it has a reserved place of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace sluice::test {
class Relay;
}

namespace chaos {

inline constexpr int permits = 17;  // what the server has for the application

enum class Outage { orderly, crash, kill };
constexpr const char* to_text(Outage outage) noexcept {
  constexpr const char* names[] = {"in good order", "at once", "by a kill"};
  return names[static_cast<int>(outage)];
}

// start() and stop() are the main thread's, for the server dies with it; the rest may be called by any thread.
class Database {
 public:
  virtual ~Database() = default;
  virtual std::string name() const = 0;
  virtual std::uint16_t port() const = 0;
  // Through the relay; `scheme_prefix` goes before the scheme.
  virtual std::string url(std::uint16_t port, const std::string& scheme_prefix) const = 0;

  virtual void stop(Outage how) = 0;
  virtual void start() = 0;

  // Connections refused for lack of slots, over the whole life.
  virtual std::size_t refused(const sluice::test::Relay& relay) = 0;
  // The words of the refusals, for a failure's message.
  virtual std::string refusals() = 0;
  // Sessions of the application's role now. Throws while the server is down.
  virtual int sessions() = 0;
  // How often each id is in table `writes`.
  virtual std::map<std::int64_t, int> writes() = 0;
};

// Null where the server is not installed (SLUICE_REQUIRE_SERVERS=1 makes it throw). Started, with empty tables
// `writes` and `burden`.
std::unique_ptr<Database> make_postgres();
std::unique_ptr<Database> make_mariadb();

}  // namespace chaos
