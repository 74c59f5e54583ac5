// Gives back what only the start of a process needed: free heap pages, and unmodified pages of program files, which the page
// cache brings back when they are touched again. For a long-lived process that should stay small, while it has one thread.
#pragma once

namespace sluice {

void release_startup_memory();

}  // namespace sluice
