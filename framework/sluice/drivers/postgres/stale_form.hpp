// A prepared form that no longer fits, by the server's word. Pure.
#pragma once

#include <string_view>

namespace sluice::postgres {

// A table changed under it; somebody deallocated it.
inline constexpr const char *changed_result = "0A000", *no_such_statement = "26000";

// It did not run then, and may run anew.
inline bool no_longer_fits(std::string_view sqlstate) noexcept { return sqlstate == changed_result || sqlstate == no_such_statement; }

}  // namespace sluice::postgres
