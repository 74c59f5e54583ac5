// --print-reference: the Markdown page of all options.
#include <sluice/config/command_line.hpp>
#include <sluice/config/loader.hpp>
#include <sluice/config/table.hpp>
#include <sluice/core/text.hpp>

#include <ostream>

namespace sluice::config {
namespace {

// A bar would end the table's cell.
std::string cell(std::string_view s) {
  std::string out;
  for (const char c : s) {
    if (c == '|') out += '\\';
    if (c == '<') {
      out += "&lt;";
      continue;
    }
    out += c;
  }
  return out;
}

std::string code(std::string_view s) { return text("`", s, "`"); }

std::string default_cell(const Option& option) {
  if (option.type == Type::json) return "";
  const std::string value = format_value(option, default_of(option));
  std::string out = value.empty() ? "" : code(value);
  if (!option.development.empty()) out += text("<br>development: ", code(option.development));
  if (!option.test.empty()) out += text("<br>test: ", code(option.test));
  return out;
}

std::string names_cell(const Option& option) {
  std::string out = code(option.name);
  if (option.short_flag != 0) out += text("<br>`-", std::string_view(&option.short_flag, 1), "`");
  if (!option.alias.empty()) {
    std::string flag(option.alias);
    for (char& c : flag) c = c == '_' ? '-' : c;
    out += text("<br>`--", flag, "`");
  }
  return out;
}

std::string meaning_cell(const Option& option) {
  std::string out = cell(option.doc);
  if (!option.zero.empty()) out += text(" 0: ", cell(option.zero), ".");
  if (option.secrecy != Secrecy::open) out += text(" May come from a file: ", code(text(option.name, "_file")), ".");
  return out;
}

}  // namespace

void print_reference(std::ostream& out) {
  out << "# Configuration reference\n\n"
         "Generated from the option table (`--print-reference`); do not edit.\n\n"
         "Every option is a flag by its dotted name (`--pools.main.max 8`), an environment variable (`APP_POOLS__MAIN__MAX=8`: the\n"
         "application's prefix, two underscores between segments, case and `-` or `_` without meaning) and a key of the configuration file\n"
         "(JSON with comments, or YAML). Flags win over variables, variables over the file, the file over the application's own defaults, those\n"
         "over the preset, the preset over the framework's defaults. `<PREFIX>CONFIG` names the file where `--config` does not; `DATABASE_URL`\n"
         "sets `pools.main.url` where neither flag, variable nor file does. An empty variable counts as not set.\n\n"
         "- Durations carry a unit: `ns`, `us`, `ms`, `s`, `min`, `h`, `d`. A bare number is an error.\n"
         "- Sizes are bytes, or carry a unit: `B`, `KiB`, `MiB`, `GiB`, `TiB`.\n"
         "- Texts in files may hold `${VARIABLE}` and `${VARIABLE:-fallback}`; `$${` is a literal `${`.\n"
         "- A secret option may be given as `<option>_file`: the content of that file without its last newline.\n"
         "- Unknown keys are errors.\n\n"
         "## Flags that are no options\n\n| flag | meaning |\n|---|---|\n";
  for (const Command& command : commands()) {
    out << "| `" << command.flag << (command.argument.empty() ? "" : " ") << command.argument << '`';
    if (command.short_flag != 0) out << ", `-" << command.short_flag << '`';
    out << " | " << cell(command.doc) << " |\n";
  }
  for (const Section& section : sections()) {
    out << "\n## " << section.title << "\n\n" << cell(section.doc) << "\n\n| option | value | default | meaning |\n|---|---|---|---|\n";
    for (const Option& option : options()) {
      if (&section_of(option) != &section) continue;
      out << "| " << names_cell(option) << " | " << cell(expectation(option)) << " | " << default_cell(option) << " | " << meaning_cell(option)
          << " |\n";
    }
  }
}

}  // namespace sluice::config
