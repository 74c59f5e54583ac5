// The options that a pool or a server goes by. Whoever begins to act on options takes them through here: as they are, in every
// program of users. It is the seam for the tests of the tests: an executable that links tests/support/seams/ignore_option.cpp brings
// its own definition, which puts one option back to its default, and a test of that option must then fail. The linker decides;
// nothing here looks at the environment.
#pragma once

#include <sluice/config/config.hpp>

namespace sluice::config {

Pool in_force(Pool options);
Server in_force(Server options);

}  // namespace sluice::config
