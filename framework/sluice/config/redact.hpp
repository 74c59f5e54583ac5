// What may be shown of a value: secrets become ***, of urls the password and secret parameters do.
#pragma once

#include <sluice/config/table.hpp>

#include <string>
#include <string_view>

namespace sluice::config {

// A value of the option as text for output, logs and messages: redacted, on one line, of bounded length if `shorten`.
std::string shown(const Option& option, const std::string& value, bool shorten = true);

// Does this name promise a secret ("password", "api_token")? For the application's own options, which the table does not know.
bool sounds_secret(std::string_view name);

}  // namespace sluice::config
