// `ctl config translate`: reads a file, prints the translation. Needs no instance.
#pragma once

#include <sluice/admin/arguments.hpp>

namespace sluice::admin {

// REQUIRES: asked comes from parse_arguments() and is `config translate`. Returns the exit code: 78 if something was not
// understood. Throws ExitError if the file cannot be read or is malformed.
int translate(const Invocation& asked, const std::string& program);

}  // namespace sluice::admin
