// --help, in 100 columns: usage, what is needed most, then everything by section.
#include <sluice/config/command_line.hpp>
#include <sluice/config/environment.hpp>
#include <sluice/config/loader.hpp>
#include <sluice/config/table.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <ostream>

namespace sluice::config {
namespace {

constexpr std::size_t left = 34;    // width of the column of names
constexpr std::size_t right = 100;  // no line is longer

std::string placeholder(const Option& option) {
  switch (option.type) {
    case Type::boolean: return std::get<bool>(default_of(option)) ? " true|false" : "";
    case Type::integer: return option.absent.empty() ? " N" : text(" N|", option.absent);
    case Type::number: return " X";
    case Type::text: return option.secrecy == Secrecy::url ? " URL" : " TEXT";
    case Type::choice: return " WORD";
    case Type::address: return option.may_be_off ? " ADDRESS|off" : " ADDRESS";
    case Type::duration: return " TIME";
    case Type::bytes: return " SIZE";
    case Type::workers: return " N|auto|KIND=N,…";
    case Type::json: return " VALUE";
  }
  return "";
}

std::string flag_of(const Option& option) {
  const std::string brief = option.short_flag == 0 ? "" : text("-", std::string_view(&option.short_flag, 1), ", ");
  return text(brief, "--", option.name, placeholder(option));
}

// What may be written and what holds otherwise, behind the sentence: [process, thread; default process]
std::string limits_of(const Option& option) {
  std::string out;
  const auto add = [&](const std::string& part) { out += text(out.empty() ? "" : "; ", part); };
  if (option.type == Type::choice) {
    std::string all;
    for (const std::string_view choice : option.choices) {
      if (!choice.empty()) all += text(all.empty() ? "" : ", ", choice);
    }
    add(all);
  }
  if (!option.zero.empty()) add(text("0: ", option.zero));
  const std::string value = option.type == Type::json ? "" : format_value(option, default_of(option));
  if (!value.empty() && value != "default") add(text("default ", value));
  return out.empty() ? "" : text(" [", out, "]");
}

// "…" and "×" take several bytes and one column.
std::size_t columns(std::string_view s) {
  std::size_t count = 0;
  for (const char c : s) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

void row(std::ostream& out, const std::string& name, std::string_view words) {
  std::size_t column = columns(name) + 2;
  out << "  " << name;
  const auto indent = [&] {
    out << std::string(left - column, ' ');
    column = left;
  };
  if (column + 2 > left) {
    out << '\n';
    column = 0;
  }
  indent();
  bool first = true;
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(' '));
    words.remove_prefix(std::min(word.size() + 1, words.size()));
    if (!first && column + 1 + columns(word) > right) {
      out << '\n';
      column = 0;
      indent();
      first = true;
    }
    out << (first ? "" : " ") << word;
    column += columns(word) + (first ? 0 : 1);
    first = false;
  }
  out << '\n';
}

void row(std::ostream& out, const Option& option) { row(out, flag_of(option), text(option.doc, limits_of(option))); }

}  // namespace

void print_help(std::ostream& out, const Application& application) {
  const std::string program = application.executable.substr(application.executable.rfind('/') + 1);
  if (!application.description.empty()) out << application.description << "\n\n";
  out << "Usage: " << program << " [OPTIONS]\n       " << program << " ctl COMMAND [--json]\n\n";
  out << "Commands:\n";
  row(out, "ctl COMMAND", "talk to the running instance: status, workers, pools, permits, budget, scale, restart, stop; `ctl --help` says more");
  out << "\nCommon options:\n";
  for (const Option& option : options()) {
    if (option.common) row(out, option);
  }
  for (const Command& command : commands()) {
    const std::string brief = command.short_flag == 0 ? "" : text("-", std::string_view(&command.short_flag, 1), ", ");
    row(out, text(brief, command.flag, command.argument.empty() ? "" : " ", command.argument), command.doc);
  }
  if (!application.kinds.empty()) {
    std::string kinds;
    for (const std::string& kind : application.kinds) kinds += text(kinds.empty() ? "" : ", ", kind);
    out << "\nKinds of workers: " << kinds << "\n";
  }
  out << "\nEvery option is also a key of the configuration file and an environment variable:\n"
      << "  --pools.main.max 8   " << variable_of(application.environment_prefix, "pools.main.max") << "=8   {\"pools\": {\"main\": {\"max\": 8}}}\n"
      << "Flags win over variables, variables over the file. Times have units: 500ms, 30s, 10min.\n"
      << "Secrets may come from a file: --admin.token_file PATH, --pools.main.url_file PATH.\n";
  for (const Section& section : sections()) {
    out << '\n' << section.title << ":\n";
    for (const Option& option : options()) {
      if (&section_of(option) == &section) row(out, option);
    }
  }
}

}  // namespace sluice::config
