#include <sluice/config/apply.hpp>
#include <sluice/config/binding.hpp>
#include <sluice/config/command_line.hpp>
#include <sluice/config/complete.hpp>
#include <sluice/config/document.hpp>
#include <sluice/config/environment.hpp>
#include <sluice/config/in_force.hpp>
#include <sluice/config/validate.hpp>
#include <sluice/core/text.hpp>

#include <iterator>
#include <set>

namespace sluice::config {
namespace {

using Form = Raw::Form;

// `pools: {cache: {}}`: the entry is wanted, even without a single option.
void touch(const std::string& name, Config& config) {
  for (const std::string_view section : {"pools.", "servers."}) {
    if (!name.starts_with(section)) continue;
    const std::string key = name.substr(section.size());
    if (!is_key(key)) return;
    if (section == "pools.") binding::enter(config.pools, key);
    if (section == "servers.") binding::enter(config.servers, key);
  }
}

std::vector<Assignment> from_file(const std::string& file, const Environment& environment, Config& config, Problems& problems) {
  std::vector<Assignment> out;
  for (Entry& entry : read_document(file, environment, problems)) {
    const std::string origin = text("file ", file, ":", entry.line);
    const bool empty = entry.raw.form == Form::null || (entry.raw.form == Form::object && entry.raw.text == "{}");
    if (empty && is_section(entry.name)) {
      touch(entry.name, config);
    } else if (auto match = find_option(entry.name, Spelling::exact)) {
      out.push_back({std::move(*match), std::move(entry.raw), origin, Layer::file});
    } else if (is_section(entry.name)) {
      problems.add("", text(entry.name, " (", origin, "): is a section; write its options as an object, {…}"));
    } else {
      const std::string near = suggestion(entry.name);
      problems.add("", text(entry.name, " (", origin, "): unknown option; ", near.empty() ? "--help lists all" : text("did you mean '", near, "'?")));
    }
  }
  return out;
}

std::vector<Assignment> from_application(const Application& application, Problems& problems) {
  std::vector<Assignment> out;
  for (const auto& [name, value] : application.defaults) {
    if (auto match = find_option(name, Spelling::flag)) {
      out.push_back({std::move(*match), Raw{Form::words, value}, "application", Layer::application});
    } else {
      problems.add("", text(name, " (the application's defaults): unknown option"));
    }
  }
  return out;
}

std::set<std::string> names_of(const std::vector<Assignment>& assignments) {
  std::set<std::string> names;
  for (const Assignment& assignment : assignments) names.insert(assignment.match.name());
  return names;
}

void append(std::vector<Assignment>& all, std::vector<Assignment> more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

Loaded load(const Application& application, const std::vector<std::string>& arguments, const Environment& environment) {
  Loaded loaded;
  Problems problems;
  CommandLine line = parse_command_line(arguments, problems);
  loaded.action = line.action;
  if (is_informational(line.action)) return loaded;
  loaded.warnings = std::move(line.warnings);

  std::vector<Assignment> all = std::move(line.assignments);
  const std::string file = line.config_file.empty() ? config_file_from(application.environment_prefix, environment) : line.config_file;
  std::vector<Assignment> written;
  if (!file.empty()) written = from_file(file, environment, loaded.config, problems);
  std::vector<Assignment> defaults = from_application(application, problems);

  std::set<std::string> known = names_of(all);
  known.merge(names_of(written));
  known.merge(names_of(defaults));
  FromEnvironment variables = read_environment(application.environment_prefix, environment, known, problems);
  loaded.warnings.insert(loaded.warnings.end(), variables.warnings.begin(), variables.warnings.end());

  append(all, std::move(variables.assignments));
  append(all, std::move(written));
  if (const auto url = environment.find("DATABASE_URL"); url != environment.end() && !url->second.empty()) {
    all.push_back(
        {Match{&option_named("pools.<name>.url"), "main", false}, Raw{Form::words, url->second}, "environment DATABASE_URL", Layer::database_url});
  }
  append(all, std::move(defaults));

  apply(all, loaded, problems);
  for (auto& [name, pool] : loaded.config.pools) pool = in_force(std::move(pool));
  for (auto& [name, server] : loaded.config.servers) server = in_force(std::move(server));
  apply_app(all, loaded);
  complete(loaded, application);
  validate(loaded, application, problems);
  problems.throw_if_any();
  for (std::string& sentence : advice(loaded)) loaded.warnings.push_back(std::move(sentence));
  return loaded;
}

}  // namespace sluice::config
