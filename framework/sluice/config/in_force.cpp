#include <sluice/config/in_force.hpp>

// Alone in its file: a definition in the executable keeps the linker from taking this one out of the library.

namespace sluice::config {

Pool in_force(Pool options) { return options; }
Server in_force(Server options) { return options; }

}  // namespace sluice::config
