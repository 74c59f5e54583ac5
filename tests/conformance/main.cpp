// pool_conformance FILE|FOLDER…: runs scenarios of the connection-monitoring-and-pooling format against the pool.
// A folder stands for its *.json. --default FOLDER: $SLUICE_CMAP_DIR if it is set, else this folder.
// Exit status: 0 all passed, 1 one failed, 77 nothing failed, but something was skipped or there was nothing to run, 2 wrong usage.
#include "scenario.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace {

using namespace sluice::conformance;
namespace fs = std::filesystem;

constexpr int exit_skipped = 77;

void add(std::vector<fs::path>& files, const fs::path& path) {
  if (!fs::is_directory(path)) {
    files.push_back(path);
    return;
  }
  const auto first = static_cast<std::ptrdiff_t>(files.size());
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin() + first, files.end());
}

Report run(const fs::path& file) {
  std::ifstream in(file);
  if (!in) return {Outcome::failed, {}, "  cannot be read\n"};
  const Json scenario = Json::parse(in, nullptr, false);
  if (scenario.is_discarded() || !scenario.is_object()) return {Outcome::failed, {}, "  is no JSON object\n"};
  return perform(scenario);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<fs::path> files;
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 2 && arguments[0] == "--default") {
    const char* chosen = std::getenv("SLUICE_CMAP_DIR");
    const fs::path folder = chosen && *chosen ? chosen : arguments[1];
    if (chosen && *chosen && !fs::is_directory(folder)) {
      std::cerr << "SLUICE_CMAP_DIR: " << folder.string() << " is no folder\n";
      return 1;
    }
    arguments.clear();
    if (fs::is_directory(folder)) add(files, folder);
  } else if (arguments.empty() || arguments[0].starts_with("-")) {
    std::cerr << "usage: pool_conformance FILE|FOLDER...\n       pool_conformance --default FOLDER\n";
    return 2;
  }
  for (const std::string& argument : arguments) add(files, argument);

  static constexpr const char* words[] = {"passed ", "failed ", "skipped"};
  std::size_t counts[3] = {};
  for (const fs::path& file : files) {
    const Report report = run(file);
    ++counts[static_cast<int>(report.outcome)];
    std::cout << words[static_cast<int>(report.outcome)] << "  " << file.filename().string() << ": " << report.description << "\n"
              << report.details << std::flush;
  }
  std::cout << counts[0] << " passed, " << counts[1] << " failed, " << counts[2] << " skipped\n";
  if (files.empty()) std::cout << "skipped: no scenarios; set SLUICE_CMAP_DIR to a folder that holds some\n";
  if (counts[1] > 0) return 1;
  return files.empty() || counts[2] > 0 ? exit_skipped : 0;
}
