// Loading made short for tests: arguments, variables and files in one call.
#pragma once

#include <sluice/config/loader.hpp>

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace config_test {

using namespace sluice::config;

inline Application orders() {
  Application application;
  application.executable = "/usr/bin/orders";
  application.description = "Takes orders.";
  application.kinds = {"web", "jobs"};
  return application;
}

inline Loaded load_flags(const std::vector<std::string>& arguments, const Environment& environment = {}, const Application& application = orders()) {
  return load(application, arguments, environment);
}

// The text of the error that loading throws; "" if it throws none.
inline std::string refusal(const std::vector<std::string>& arguments, const Environment& environment = {},
                           const Application& application = orders()) {
  try {
    load(application, arguments, environment);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return {};
}

// A directory that goes with the test.
class Directory {
 public:
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sluice-config-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string write(const std::string& name, const std::string& content) const {
    const std::string path = path_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What loading `content` as a file gives, with further flags.
inline Loaded load_file(const std::string& name, const std::string& content, std::vector<std::string> arguments = {},
                        const Environment& environment = {}) {
  const Directory directory;
  arguments.insert(arguments.begin(), {"--config", directory.write(name, content)});
  return load_flags(arguments, environment);
}

// The refusal of a file, with the directory's name cut from it.
inline std::string file_refusal(const std::string& name, const std::string& content, const Environment& environment = {}) {
  const Directory directory;
  std::string text = refusal({"--config", directory.write(name, content)}, environment);
  const std::string path = directory.path() + "/";
  for (std::size_t at = text.find(path); at != std::string::npos; at = text.find(path)) text.erase(at, path.size());
  return text;
}

inline bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

inline std::string read_source(const std::string& path) {
  std::ifstream stream(std::string(SLUICE_SOURCE_DIR) + "/" + path, std::ios::binary);
  std::ostringstream content;
  content << stream.rdbuf();
  return content.str();
}

}  // namespace config_test
