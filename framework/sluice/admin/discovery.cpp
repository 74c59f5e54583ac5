#include <sluice/admin/discovery.hpp>

#include <sluice/config/config.hpp>
#include <sluice/core/descriptor.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/client.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace sluice::admin {
namespace {

namespace fs = std::filesystem;

bool trusted_socket(const fs::path& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  return ::geteuid() == 0 || status.st_uid == ::geteuid();
}

// An instance with an id of the user's choice says itself which application it runs.
bool runs(const std::string& socket, const std::string& application) {
  try {
    const http::Response answer = http::fetch(text("unix:", socket), "GET", "/api/status", "", 1s);
    const auto status = nlohmann::json::parse(answer.body, nullptr, false);
    return status.is_object() && status.value("application", "") == application;
  } catch (const std::exception&) {
    return false;  // whatever listens there, it is not an instance that we could talk to
  }
}

}  // namespace

bool accepts_connections(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) throw_errno("socket");
  // EAGAIN: somebody listens, but the queue is full.
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
}

std::vector<std::string> running_instances(const std::string& directory, const std::string& application) {
  std::vector<std::string> out;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const fs::path& path = it->path();
    if (path.extension() != ".sock" || !trusted_socket(path) || !accepts_connections(path)) continue;
    const std::string name = path.filename();
    const bool named = name.size() > application.size() && name.compare(0, application.size(), application) == 0 && name[application.size()] == '@';
    if (application.empty() || named || runs(path, application)) out.push_back(path);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string find_instance(const std::string& application) {
  const std::string directory = config::Config{}.control_directory();
  const std::vector<std::string> found = running_instances(directory, application);
  if (found.size() == 1) return found.front();
  const std::string what = application.empty() ? std::string("an instance") : text("an instance of \"", application, "\"");
  if (found.empty())
    throw ExitError(ExitCode::unavailable,
                    text("no running ", what.substr(3), " in ", directory, "; start one, or name its control socket with --control PATH"));
  std::string message =
      text(found.size(), " instances", application.empty() ? "" : text(" of \"", application, "\""), " are running; choose one with --control:");
  for (const std::string& path : found) message += text("\n  --control ", path);
  throw ExitError(ExitCode::usage, message);
}

}  // namespace sluice::admin
