// Errors that users of the framework see, and the exit codes of every process of an instance.
//
// Everything thrown on purpose derives from sluice::Error; modules add typed errors with their phase and numbers
// (config::ConfigError, pool::PoolError, sql::SqlError, http::HttpError). Thread-safe: values only.
#pragma once

#include <stdexcept>
#include <string>

namespace sluice {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A deadline passed before the operation was complete.
class TimedOut : public Error {
 public:
  using Error::Error;
};

// Values of sysexits(3); a child that ends with `config` stops the whole instance instead of being restarted.
enum class ExitCode : int {
  done = 0,
  usage = 64,        // the command line is wrong
  unavailable = 69,  // a needed resource is missing: port in use, no running instance
  software = 70,     // an internal error, or a worker's own failure
  temporary = 75,    // try again later: another instance with this id is running
  config = 78,       // the configuration is wrong
};

constexpr int to_int(ExitCode code) noexcept { return static_cast<int>(code); }

// Ends a process from inside main-like functions: carries the message for stderr and the exit code.
class ExitError : public Error {
 public:
  ExitError(ExitCode code, const std::string& message) : Error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

}  // namespace sluice
