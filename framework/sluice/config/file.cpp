#include <sluice/config/file.hpp>
#include <sluice/core/descriptor.hpp>

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace sluice::config {

Parsed<std::string> read_file(const std::string& path) {
  using P = Parsed<std::string>;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return P::wrong(std::strerror(errno));
  std::string content;
  char buffer[4096];
  while (true) {
    const ssize_t count = ::read(file.get(), buffer, sizeof buffer);
    if (count == 0) return content;
    if (count < 0 && errno != EINTR) return P::wrong(std::strerror(errno));
    if (count > 0) content.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace sluice::config
