// The request target taken apart: "/users/J%C3%BCrgen?full=1" → path and decoded query parameters. Pure functions.
#pragma once

#include <sluice/http/message.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace sluice::http {

// Percent-decodes; `plus_is_space` as in queries. Nothing: an escape is malformed or stands for NUL.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

// The path as sent, without scheme and authority (absolute form), query and fragment.
std::string_view raw_path(std::string_view target) noexcept;

// Fills path_text and query_parameters from target. Throws HttpError(400).
void parse_target(Request& request);

}  // namespace sluice::http
