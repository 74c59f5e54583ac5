// Two instances never share an instance id: an exclusive lock on <control directory>/<instance>.lock, held by the master
// and, through inheritance, by its children, so that it is free only when the whole fleet is gone. The file's first line tells
// whether the last fleet ended cleanly; a missing file counts as unclean. Below it stands what that fleet wanted remembered.
#pragma once

#include <sluice/core/clock.hpp>
#include <sluice/core/descriptor.hpp>

#include <string>

namespace sluice::supervise {

class InstanceLock {
 public:
  // Creates the directory (0700) if needed; waits up to `patience` for the last fleet's children to end. Throws
  // ExitError(temporary) if another instance runs, ExitError(unavailable) if the path is unusable.
  InstanceLock(const std::string& path, const std::string& instance, Duration patience);

  int file() const noexcept { return file_.get(); }
  bool last_end_was_clean() const noexcept { return clean_; }
  // What the last fleet remembered, however it ended.
  const std::string& remembered() const noexcept { return remembered_; }
  // Lines for the next fleet, at most 4,000 bytes. They stay until others are given.
  void remember(std::string lines);
  // Call before the first connection can be made: from here on only mark_clean() makes the end a clean one.
  void mark_running() { write("running"); }
  // Call at the very end, when every row was free.
  void mark_clean() { write("clean"); }

 private:
  void write(const char* state);

  Descriptor file_;
  std::string state_, remembered_;
  bool clean_ = false;
};

}  // namespace sluice::supervise
