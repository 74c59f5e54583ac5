// Two instances never share an instance id: an exclusive lock on <control directory>/<instance>.lock, held by the master
// and, through inheritance, by its children, so that it is free only when the whole fleet is gone. The file's content tells
// whether the last fleet ended cleanly; a missing file counts as unclean.
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
  // Call before the first connection can be made: from here on only mark_clean() makes the end a clean one.
  void mark_running();
  // Call at the very end, when every row was free.
  void mark_clean();

 private:
  Descriptor file_;
  bool clean_ = false;
};

}  // namespace sluice::supervise
