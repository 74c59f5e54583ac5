#include <sluice/config/config.hpp>
#include <sluice/core/text.hpp>

#include <unistd.h>
#include <cstdlib>

namespace sluice::config {

std::string Config::control_directory() const {
  if (!control.empty()) {
    const std::size_t slash = control.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : control.substr(0, slash);
  }
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime && *runtime) return runtime;
  return text("/tmp/sluice-", ::getuid());
}

std::string Config::control_path() const { return control.empty() ? text(control_directory(), "/", instance, ".sock") : control; }

std::string Config::lock_path() const { return text(control_directory(), "/", instance, ".lock"); }

}  // namespace sluice::config
