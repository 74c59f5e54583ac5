// Errors of a statement: phase, SQLSTATE (or "" where the backend has none), native code, the statement shortened.
#pragma once

#include <sluice/core/error.hpp>

#include <string>

namespace sluice::sql {

enum class Phase { connect, encode, prepare, execute, fetch, decode, commit, lost };
// What an application can do about it.
enum class Class {
  other,
  unique_violation,
  foreign_key_violation,
  not_null_violation,
  check_violation,
  serialization_failure,
  deadlock,
  busy,
  syntax,
  permission,
  cancelled,
  connection,
  disk,
  type
};

class SqlError : public Error {
 public:
  SqlError(Phase phase, Class error_class, std::string sqlstate, int native_code, const std::string& message, std::string statement = {})
      : Error(message),
        phase_(phase),
        class_(error_class),
        sqlstate_(std::move(sqlstate)),
        native_code_(native_code),
        statement_(std::move(statement)) {}
  Phase phase() const noexcept { return phase_; }
  Class error_class() const noexcept { return class_; }
  const std::string& sqlstate() const noexcept { return sqlstate_; }
  int native_code() const noexcept { return native_code_; }
  const std::string& statement() const noexcept { return statement_; }

 private:
  Phase phase_;
  Class class_;
  std::string sqlstate_;
  int native_code_;
  std::string statement_;
};

// The first 120 characters of a statement on one line, for messages; parameters are never in it.
std::string shorten(const std::string& sql);

}  // namespace sluice::sql
