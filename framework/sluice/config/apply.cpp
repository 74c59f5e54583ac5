#include <sluice/config/apply.hpp>
#include <sluice/config/file.hpp>
#include <sluice/config/redact.hpp>
#include <sluice/core/text.hpp>

namespace sluice::config {
namespace {

// A secret in a file of its own, as container platforms hand them out; editors end it with a newline.
Parsed<std::string> content_of(const std::string& path) {
  using P = Parsed<std::string>;
  auto content = read_file(path);
  if (!content) return P::wrong(text("the file ", path, " cannot be read (", content.problem, ")"));
  if (content.value.ends_with('\n')) content.value.pop_back();
  if (content.value.ends_with('\r')) content.value.pop_back();
  if (content.value.empty()) return P::wrong(text("the file ", path, " is empty"));
  return content;
}

}  // namespace

void apply(const std::vector<Assignment>& assignments, Loaded& loaded, Problems& problems) {
  std::map<std::string, const Assignment*> winners;
  for (const Assignment& assignment : assignments) {
    const Option& option = *assignment.match.option;
    if (option.type == Type::json) continue;
    const std::string name = assignment.match.name();
    Raw raw = assignment.raw;
    if (assignment.match.from_file) {
      if (raw.form != Raw::Form::words && raw.form != Raw::Form::string) {
        problems.add(name, text(name, "_file (", assignment.origin, "): must be the path of a file"));
        continue;
      }
      auto content = content_of(raw.text);
      if (!content) {
        problems.add(name, text(name, "_file (", assignment.origin, "): ", content.problem));
        continue;
      }
      raw = {Raw::Form::words, std::move(content.value)};
    }
    const auto value = parse_value(option, raw);
    if (!value) {
      const std::string written = assignment.match.from_file ? "***" : shown(option, raw.text);
      problems.add(name, text(name, " = ", written, " (", assignment.origin, "): ", value.problem));
      continue;
    }
    const auto [winner, first] = winners.emplace(name, &assignment);
    if (first) {
      option.access.set(loaded.config, assignment.match.key, value.value);
      loaded.origin[name] = assignment.origin;
    } else if (winner->second->layer == assignment.layer && winner->second->match.from_file != assignment.match.from_file) {
      problems.add(name,
                   text(name, " is given both itself and as ", name, "_file (", winner->second->origin, " and ", assignment.origin, "); keep one"));
    }
  }
}

void apply_preset(Loaded& loaded) {
  for (const Option& option : options()) {
    const std::string_view value = preset_value(option, loaded.config.preset);
    if (value.empty()) continue;
    for (const std::string& key : keys_of(option, loaded.config)) {
      const std::string name = filled(option.name, key);
      if (loaded.origin.contains(name)) continue;
      option.access.set(loaded.config, key, parse_value(option, Raw{Raw::Form::words, std::string(value)}).value);
      loaded.origin[name] = text("preset ", format_value(option_named("preset"), option_named("preset").access.get(loaded.config, {})));
    }
  }
}

}  // namespace sluice::config
