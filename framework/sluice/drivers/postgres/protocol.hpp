// PostgreSQL's protocol, as far as running a prepared statement needs it. Pure.
// Source: PostgreSQL documentation, "Frontend/Backend Protocol", message formats of version 3.0.
//
// libpq has each statement's columns described anew with each run. Those of a prepared query never change (the server refuses to run it when
// they would, 0A000), so who remembers them (RowShape) may leave that out. Not so those of utility statements such as FETCH and EXECUTE.
#pragma once

#include <sluice/drivers/postgres/errors.hpp>
#include <sluice/drivers/postgres/values.hpp>
#include <sluice/sql/session.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::postgres {

// ---- what is sent

// Runs the prepared statement of this name (Bind, Execute), every column as text. Throws SqlError(encode), with nothing appended, for text
// with a zero byte and for more than the protocol can carry. `sql`: for errors.
void put_run(std::string& out, std::string_view name, const std::vector<sql::Value>& parameters, const std::string& sql);
void put_sync(std::string& out);

// ---- what comes

// The server said what it must not say here.
class ProtocolError : public Error {
 public:
  using Error::Error;
};

struct Message {
  char type = 0;
  std::string_view body;
};

// Bytes as they come, cut into messages.
class Incoming {
 public:
  // Where the next bytes go: at least `least`. What next() gave is gone then.
  std::span<char> room(std::size_t least);
  void came(std::size_t bytes) noexcept { end_ += bytes; }
  // The next whole message; none: more has to come. Throws ProtocolError.
  std::optional<Message> next();
  bool empty() const noexcept { return begin_ == end_; }

 private:
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
  std::size_t awaited_ = 0;  // size of the message at begin_, where its head is there
};

// These throw ProtocolError if the message's body is not what it should be.

// DataRow: one row behind those of `set`.
void append_row(std::string_view body, const RowShape& shape, sql::ResultSet& set);
// CommandComplete: its tag, such as "UPDATE 3".
std::string_view tag_of(std::string_view body);
// ErrorResponse, NoticeResponse.
ServerReport report_of(std::string_view body);
// ReadyForQuery: 'I' idle, 'T' in a transaction, 'E' in a failed one.
char status_of(std::string_view body);

}  // namespace sluice::postgres
