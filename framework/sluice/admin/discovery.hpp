// Finds the control socket of the running instance that a tool means.
#pragma once

#include <string>
#include <vector>

namespace sluice::admin {

// Paths of the control sockets in `directory` that belong to us (or to anybody, if we are root) and accept a connection,
// sorted. With an application name only its instances: "<application>@…" by name, others by what they say of themselves.
std::vector<std::string> running_instances(const std::string& directory, const std::string& application);

// The one running instance in the default directory. Throws ExitError: unavailable if there is none, usage with the list if there are several.
std::string find_instance(const std::string& application);

// False if nobody listens on the Unix socket at `path` (it refuses, or is not there).
bool accepts_connections(const std::string& path);

}  // namespace sluice::admin
