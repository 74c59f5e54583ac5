// The server quotes what it complains about, and that may be a parameter's value or a row's. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::postgres {

// The message with "(value hidden)" for what it quotes: of errors about data (SQLSTATE 22…) everything, of others what is no name in
// one of the `known` texts (the statement, the names that the server tells apart from the message). What the author of a function
// says with RAISE stays.
std::string hide_values(std::string message, std::string_view sqlstate, const std::vector<std::string>& known);

}  // namespace sluice::postgres
