#include <sluice/core/memory.hpp>

#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace sluice {
namespace {

struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool of_file = false;  // and neither writable nor shared
};

// "55d0-55e0 r-xp 00001000 fe:01 1234  /usr/bin/x": other lines of smaps begin with a capital letter.
bool parse_header(const std::string& line, Mapping& out) {
  unsigned long begin = 0, end = 0, offset = 0, inode = 0;
  char access[5] = {};
  char device[16] = {};
  if (std::sscanf(line.c_str(), "%lx-%lx %4s %lx %15s %lu", &begin, &end, access, &offset, device, &inode) != 6) return false;
  out = Mapping{begin, end, inode != 0 && access[1] == '-' && access[3] == 'p'};
  return true;
}

}  // namespace

void release_startup_memory() {
  ::malloc_trim(0);
  // A mapping that holds a modified page (relocated data, for example) must stay: dropping it would undo the modification.
  std::vector<Mapping> droppable;
  Mapping current;
  std::ifstream smaps("/proc/self/smaps");
  for (std::string line; std::getline(smaps, line);) {
    if (parse_header(line, current)) continue;
    unsigned long kib = 0;
    if (current.of_file && std::sscanf(line.c_str(), "Anonymous: %lu kB", &kib) == 1 && kib == 0) droppable.push_back(current);
    if (current.of_file && std::sscanf(line.c_str(), "Swap: %lu kB", &kib) == 1 && kib != 0 && !droppable.empty() && droppable.back().begin == current.begin)
      droppable.pop_back();  // modified, though not in memory
  }
  for (const Mapping& m : droppable) ::madvise(reinterpret_cast<void*>(m.begin), m.end - m.begin, MADV_DONTNEED);
}

}  // namespace sluice
