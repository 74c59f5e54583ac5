#include <sluice/config/environment.hpp>
#include <sluice/core/text.hpp>

#include <unistd.h>
#include <algorithm>

namespace sluice::config {
namespace {

char folded(char c) {
  if (c == '-') return '_';
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string folded(std::string_view s) {
  std::string out(s);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return folded(c); });
  return out;
}

std::string replaced(std::string s, std::string_view from, std::string_view to) {
  for (std::size_t at = s.find(from); at != std::string::npos; at = s.find(from, at + to.size())) s.replace(at, from.size(), to);
  return s;
}

// The dotted option that somebody meant with this name, which has no double underscore; "" if it may be anything.
std::string meant(const std::string& name) {
  for (const Option& option : options()) {
    if (option.name.find('<') != std::string_view::npos) continue;
    const std::string flat = replaced(std::string(option.name), ".", "_");
    if (flat == name || (name.size() > 3 && (is_slip(name, flat) || is_slip(name, option.alias)))) return std::string(option.name);
  }
  // pools_main_max: the key is what stands between the section and an option of it.
  for (const Option& option : options()) {
    const std::size_t open = option.name.find('<');
    if (open == std::string_view::npos || option.type == Type::json) continue;
    const std::string head = replaced(std::string(option.name.substr(0, open)), ".", "_");
    const std::string tail = replaced(std::string(option.name.substr(option.name.find('>') + 1)), ".", "_");
    if (name.size() > head.size() + tail.size() && name.starts_with(head) && name.ends_with(tail)) {
      return filled(option.name, name.substr(head.size(), name.size() - head.size() - tail.size()));
    }
  }
  return {};
}

// Gives the key the spelling that it has elsewhere.
void respell(Match& match, const std::set<std::string>& known) {
  const std::string section(match.option->name.substr(0, match.option->name.find('<')));
  const bool whole = match.option->type == Type::json;  // app.a.b: the key is all that follows
  for (const std::string& name : known) {
    if (!name.starts_with(section)) continue;
    const std::string key = whole ? name.substr(section.size()) : name.substr(section.size(), name.find('.', section.size()) - section.size());
    if (folded(key) == match.key) {
      match.key = key;
      return;
    }
  }
}

}  // namespace

FromEnvironment read_environment(const std::string& prefix, const Environment& environment, const std::set<std::string>& known, Problems& problems) {
  FromEnvironment out;
  const std::string start = folded(prefix);
  for (const auto& [variable, value] : environment) {
    const std::string lower = folded(variable);
    if (value.empty() || !lower.starts_with(start) || lower.size() == start.size()) continue;
    const std::string rest = lower.substr(start.size());
    if (rest == "config") continue;
    const std::string name = replaced(rest, "__", ".");
    if (auto match = find_option(name, Spelling::environment)) {
      if (!match->key.empty()) respell(*match, known);
      out.assignments.push_back({std::move(*match), Raw{Raw::Form::words, value}, text("environment ", variable), Layer::environment});
      continue;
    }
    const bool nested = name.find('.') != std::string::npos;
    const std::string near = nested ? suggestion(name) : meant(rest);
    if (!nested && near.empty()) {
      out.warnings.push_back(
          text("environment ", variable, ": no option has this name, so it is ignored; unset it or choose another prefix for other settings."));
      continue;
    }
    problems.add("", text("environment ", variable, ": unknown option",
                          near.empty() ? "; --help lists all" : text("; did you mean '", variable_of(prefix, near), "'?")));
  }
  return out;
}

std::string config_file_from(const std::string& prefix, const Environment& environment) {
  for (const auto& [variable, value] : environment) {
    if (folded(variable) == folded(prefix) + "config") return value;
  }
  return {};
}

std::string variable_of(const std::string& prefix, std::string_view name) {
  std::string out = prefix;
  for (const char c : name) {
    if (c == '.') {
      out += "__";
    } else {
      const char l = folded(c);
      out += l >= 'a' && l <= 'z' ? static_cast<char>(l - 'a' + 'A') : l;
    }
  }
  return out;
}

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view pair(*entry);
    const std::size_t equals = pair.find('=');
    if (equals != pair.npos && equals != 0) environment.emplace(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return environment;
}

}  // namespace sluice::config
