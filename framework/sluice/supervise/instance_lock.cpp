#include <sluice/supervise/instance_lock.hpp>

#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

namespace sluice::supervise {
namespace {

constexpr std::size_t most_remembered = 4000;

// In a directory that others may write to, somebody could put a link in the lock's or the socket's place.
void require_private(const std::string& directory) {
  struct stat status = {};
  if (directory.empty() || ::lstat(directory.c_str(), &status) != 0) return;  // open() says what is wrong
  const bool sticky = (status.st_mode & S_ISVTX) != 0;
  const bool ours = status.st_uid == ::geteuid() || status.st_uid == 0;
  if (S_ISLNK(status.st_mode)) return;  // whoever could make this link owns the directory around it
  if (!ours || ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky))
    throw ExitError(ExitCode::unavailable, text("the control directory ", directory, " belongs to or can be written by somebody else; choose one of your own with ",
                                                "--control <directory>/<name>.sock"));
}

}  // namespace

InstanceLock::InstanceLock(const std::string& path, const std::string& instance, Duration patience) {
  const std::string directory = path.substr(0, path.find_last_of('/'));
  if (!directory.empty() && ::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    throw ExitError(ExitCode::unavailable,
                    text("cannot create the control directory ", directory, ": ", std::strerror(errno), "; choose another with --control <directory>/<name>.sock"));
  require_private(directory);
  file_ = Descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file_)
    throw ExitError(ExitCode::unavailable,
                    text("cannot open the instance lock ", path, ": ", std::strerror(errno), "; choose another directory with --control <directory>/<name>.sock"));
  const TimePoint give_up = Clock::now() + patience;
  while (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) throw ExitError(ExitCode::unavailable, text("cannot lock ", path, ": ", std::strerror(errno)));
    if (Clock::now() >= give_up)
      throw ExitError(ExitCode::temporary, text("an instance with the id '", instance, "' is already running (it holds ", path,
                                                "); stop it with `ctl stop`, or give this one another id with --instance"));
    std::this_thread::sleep_for(10ms);  // nothing tells when the last holder of a lock has died
  }
  char buffer[most_remembered + 16] = {};
  const ssize_t n = ::pread(file_.get(), buffer, sizeof buffer, 0);
  const std::string_view content(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
  clean_ = content.starts_with("clean\n");
  if (const std::size_t line = content.find('\n'); line != content.npos) remembered_ = content.substr(line + 1);
}

void InstanceLock::remember(std::string lines) {
  if (lines.size() > most_remembered || lines == remembered_) return;
  remembered_ = std::move(lines);
  write(state_.c_str());
}

void InstanceLock::write(const char* state) {
  state_ = state;
  const std::string content = text(state_, "\n", remembered_);
  // Written over what is there, then cut: a kill between the two leaves the first line right.
  if (::pwrite(file_.get(), content.data(), content.size(), 0) != static_cast<ssize_t>(content.size()) ||
      ::ftruncate(file_.get(), static_cast<off_t>(content.size())) != 0)
    throw ExitError(ExitCode::unavailable, text("cannot write the instance lock: ", std::strerror(errno), "; free some space in the control directory"));
  ::fsync(file_.get());
}

}  // namespace sluice::supervise
