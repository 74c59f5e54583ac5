// The SQL argument of query(), execute(): the text and the line of user code that asked, which `ctl permits` shows as the call
// site of the lease. Made implicitly from any text; only a view.
#pragma once

#include <boost/assert/source_location.hpp>
#include <concepts>
#include <string_view>

namespace sluice::sql {

struct SqlText {
  std::string_view text;
  boost::source_location where;

  template <std::convertible_to<std::string_view> S>
  SqlText(const S& s, boost::source_location w = BOOST_CURRENT_LOCATION) : text(s), where(w) {}
};

}  // namespace sluice::sql
