// With whom a statement may travel on MariaDB, judged by its text alone. Pure, and careful: what is not understood travels with nobody.
//
// reads: one SELECT, VALUES or WITH of them, without row locks, that leaves nothing behind in the session, uses nothing that only this
//        session has (variables, LAST_INSERT_ID()), and calls only functions of the server's own that change nothing, so that it
//        may also run twice. What still hides a change (a view that calls a function) is refused by the server, for the session
//        is read-only meanwhile.
// none:  everything else. Writes that shared a connection could wait for each other where the server does not see it.
#pragma once

#include <sluice/sql/session.hpp>

#include <string_view>

namespace sluice::mysql {

sql::Sharing sharing_of(std::string_view sql);

}  // namespace sluice::mysql
