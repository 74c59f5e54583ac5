// Looks into an SQLite file from outside of those who use it.
#pragma once

#include <string>
#include <vector>

namespace sluice::test {

// One statement, on a connection of its own; NULL is "". Waits 200 ms for the locks of others. Throws std::runtime_error.
std::vector<std::vector<std::string>> query_sqlite(const std::string& file, const std::string& sql);

}  // namespace sluice::test
