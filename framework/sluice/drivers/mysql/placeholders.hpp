// $1, $2, … for a server that knows only '?', counted by appearance. Pure.
//
// Understands what MySQL and MariaDB understand: 'text' and "text" with backslash escapes (and without, where the session says
// NO_BACKSLASH_ESCAPES), `names`, comments from #, from "-- " and between /* */. A '?' of the statement's own would be counted
// by the server as a parameter, so it is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::mysql {

struct Translated {
  std::string sql;
  std::vector<unsigned> order;  // for each '?', which parameter it takes, from 0
  unsigned highest = 0;         // the highest number used; 0: none
};

// Throws SqlError(encode): a '?' outside of literals, $0, a number above 65535.
Translated translate(std::string_view sql, bool backslash_escapes = true);

}  // namespace sluice::mysql
