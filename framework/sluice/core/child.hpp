// What every process of an instance does right after fork, and what shows it to the world. Linux only.
// Called on the main thread before any other thread exists.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace sluice::child {

// Remembers the argument area so that set_title() can overwrite it. Call first thing in main.
void remember_arguments(int argc, char** argv);

// Shows "<title>" in ps and top (argument area and thread name). Truncated to the room that the arguments left.
void set_title(std::string_view title);

// After fork, in the child: own process group (if `lead_group`), SIGKILL when the parent dies, exit at once if it
// already has (its pid is no longer `parent`), default signal dispositions, empty mask, SIGPIPE ignored.
void prelude(pid_t parent, bool lead_group);

// Installs a handler for SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL that writes a backtrace of the hit thread to stderr
// and then dies of the same signal. `also` is called first, on that thread; it must be async-signal-safe.
void install_crash_backtrace(void (*also)() = nullptr);

}  // namespace sluice::child
