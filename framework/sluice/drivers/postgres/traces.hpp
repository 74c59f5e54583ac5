// What a statement leaves behind in its session, by its words. Pure.
//
// In doubt it leaves something: then the connection is reset before its next user. What functions of the user's own do cannot be seen.
#pragma once

#include <optional>
#include <string_view>

namespace sluice::postgres {

struct Traces {
  bool state = false;                  // settings, temporary tables, cursors, LISTEN, locks
  bool statements = false;             // prepared statements may be gone
  bool seed = false;                   // random() is no longer random, which DISCARD ALL does not mend
  std::optional<unsigned> parameters;  // so many the statement takes; nothing: only the server knows
};
Traces traces_of(std::string_view sql);

}  // namespace sluice::postgres
