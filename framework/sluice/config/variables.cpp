#include <sluice/config/variables.hpp>
#include <sluice/core/text.hpp>

namespace sluice::config {

Parsed<std::string> expand_variables(const std::string& text, const Environment& environment) {
  using P = Parsed<std::string>;
  std::string out;
  std::size_t position = 0;
  while (position < text.size()) {
    const std::size_t dollar = text.find('$', position);
    out += text.substr(position, dollar - position);
    if (dollar == std::string::npos) break;
    if (text.compare(dollar, 3, "$${") == 0) {
      out += "${";
      position = dollar + 3;
      continue;
    }
    if (text.compare(dollar, 2, "${") != 0) {
      out += '$';
      position = dollar + 1;
      continue;
    }
    const std::size_t close = text.find('}', dollar);
    if (close == std::string::npos) return P::wrong("has a ${ without its }; a literal ${ is written $${");
    const std::string inside = text.substr(dollar + 2, close - dollar - 2);
    const std::size_t dash = inside.find(":-");
    const std::string name = inside.substr(0, dash);
    const auto found = environment.find(name);
    if (found != environment.end() && (dash == std::string::npos || !found->second.empty())) {
      out += found->second;
    } else if (dash != std::string::npos) {
      out += inside.substr(dash + 2);
    } else {
      return P::wrong(sluice::text("needs the environment variable ", name, ", which is not set; set it or write ${", name, ":-fallback}"));
    }
    position = close + 1;
  }
  return out;
}

}  // namespace sluice::config
