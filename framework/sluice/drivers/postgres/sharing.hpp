// With whom a statement may travel, judged by its text alone. Pure, and careful: what is not understood travels with nobody.
//
// reads: one SELECT, VALUES, TABLE or WITH of them, without row locks, that calls only functions of PostgreSQL's own known to change
//        nothing outside of the transaction, so that it may also run twice. What still hides a change (a view that calls a
//        function, an operator) is refused by the server, for the transaction is read-only.
// chain: other single statements that need no connection of their own: queries with other functions, INSERT, UPDATE, DELETE, MERGE, and
//        DDL and maintenance commands (those that no transaction may hold are refused by the server, and run alone then).
// none:  whatever begins or ends a transaction, changes the session (SET, LISTEN, PREPARE, temporary tables, set_config(),
//        advisory locks of the session), moves rows through the connection (COPY), runs code (DO, CALL); several statements; dollar
//        quotes, escape strings.
#pragma once

#include <sluice/sql/session.hpp>

#include <string_view>

namespace sluice::postgres {

sql::Sharing sharing_of(std::string_view sql);

}  // namespace sluice::postgres
