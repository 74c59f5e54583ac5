// What a peer's own program prints.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

namespace sluice::bench {

// Standard output and error of a shell command.
inline std::string output_of(const std::string& command) {
  std::string out;
  std::array<char, 4096> piece;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen((command + " 2>&1").c_str(), "r"), ::pclose);
  if (!pipe) throw std::runtime_error("popen");
  while (std::fgets(piece.data(), static_cast<int>(piece.size()), pipe.get())) out += piece.data();
  return out;
}

// The number behind the last `label` in a program's output. Throws with the output if there is none.
inline double number_after(const std::string& output, const std::string& label) {
  const std::size_t at = output.rfind(label);
  if (at == std::string::npos) throw std::runtime_error("no \"" + label + "\" in: " + output);
  return std::atof(output.c_str() + at + label.size());
}

}  // namespace sluice::bench
