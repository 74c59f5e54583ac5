// What a statement leaves behind in its session, by its words. Pure.
#pragma once

#include <string_view>

namespace sluice::mysql {

// Variables, temporary tables, locks, the chosen database, what is set for the next transaction. In doubt it does: then the connection
// is reset before its next user. What functions of the user's own do cannot be seen; CALL counts.
bool leaves_state(std::string_view sql, bool backslash_escapes = true);

}  // namespace sluice::mysql
