// --print-config: every option of this configuration with its origin.
#include <sluice/config/apply.hpp>
#include <sluice/config/loader.hpp>
#include <sluice/config/redact.hpp>
#include <sluice/config/table.hpp>

#include <ostream>

namespace sluice::config {
namespace {

// Where the option, or the object that holds it, was set.
std::string origin_of(const Loaded& loaded, std::string name) {
  while (true) {
    if (const auto found = loaded.origin.find(name); found != loaded.origin.end()) return found->second;
    const std::size_t dot = name.rfind('.');
    if (dot == std::string::npos) return "default";
    name.resize(dot);
  }
}

void print_line(std::ostream& out, const Loaded& loaded, const std::string& name, const std::string& value) {
  out << name << " = " << value << "   # " << origin_of(loaded, name) << '\n';
}

}  // namespace

void print_config(std::ostream& out, const Loaded& loaded) {
  // Section by section, and within servers and pools entry by entry.
  const auto all = options();
  for (std::size_t begin = 0; begin < all.size();) {
    std::size_t end = begin;
    const auto head = all[begin].name.substr(0, all[begin].name.find('<'));
    const bool keyed = head.size() != all[begin].name.size();
    while (end < all.size() && (all[end].name.find('<') != std::string_view::npos) == keyed && (!keyed || all[end].name.starts_with(head))) ++end;
    for (const std::string& key : keys_of(all[begin], loaded.config)) {
      for (std::size_t i = begin; i < end; ++i) {
        print_line(out, loaded, filled(all[i].name, key), shown(all[i], format_value(all[i], all[i].access.get(loaded.config, key)), false));
      }
    }
    begin = end;
  }
  for (const auto& [name, value] : shown_app_options(loaded.config.app_json)) print_line(out, loaded, name, value);
}

}  // namespace sluice::config
