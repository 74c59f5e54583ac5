// The status page at `/`: one self-contained document that reads the JSON API and refreshes itself.
#pragma once

#include <sluice/http/message.hpp>

namespace sluice::admin {

// With a content security policy that allows nothing from elsewhere.
http::Response status_page();

}  // namespace sluice::admin
