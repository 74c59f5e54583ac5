#include <sluice/config/command_line.hpp>
#include <sluice/config/redact.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>

namespace sluice::config {
namespace {

constexpr Command command_table[] = {
    {"--config", 'c', "FILE", "read this file: JSON with comments or YAML, by its extension", Action::run},
    {"--check-config", 0, "", "say what is wrong with the configuration, and exit", Action::check_config},
    {"--print-config", 0, "", "print every value and where it comes from, secrets hidden, and exit", Action::print_config},
    {"--print-schema", 0, "", "print the JSON Schema of configuration files, and exit", Action::print_schema},
    {"--print-reference", 0, "", "print the reference of all options as Markdown, and exit", Action::print_reference},
    {"--version", 0, "", "print the version, and exit", Action::version},
    {"--help", 'h', "", "print this help, and exit", Action::help},
};

bool is_word_of_boolean(std::string_view s) {
  for (const std::string_view word : {"true", "false", "yes", "no", "on", "off", "1", "0"}) {
    if (s == word) return true;
  }
  return false;
}

const Command* find_command(std::string_view flag) {
  for (const Command& command : command_table) {
    if (command.flag == flag || (command.short_flag != 0 && flag.size() == 2 && flag[0] == '-' && flag[1] == command.short_flag)) return &command;
  }
  return nullptr;
}

std::string near_flag(std::string_view name) {
  const std::string option = suggestion(name);
  if (!option.empty()) return text("; did you mean '--", option, "'?");
  std::vector<std::string_view> flags;
  for (const Command& command : command_table) flags.push_back(command.flag.substr(2));
  const std::string_view near = closest(name, flags.data(), flags.data() + flags.size());
  return near.empty() ? "; --help lists all" : text("; did you mean '--", near, "'?");
}

class Parser {
 public:
  Parser(const std::vector<std::string>& arguments, Problems& problems) : arguments_(arguments), problems_(problems) {}

  CommandLine run() {
    for (const std::string& argument : arguments_) {
      const Command* command = find_command(argument);
      if (!command || !is_informational(command->action)) continue;
      line_.action = command->action;
      return std::move(line_);
    }
    while (next_ < arguments_.size()) step(arguments_[next_++]);
    return std::move(line_);
  }

 private:
  void step(const std::string& argument) {
    if (argument.size() < 2 || argument[0] != '-') {
      problems_.add_usage(text("'", redact_url(argument), "': unexpected argument; options start with --, see --help"));
      return;
    }
    // "-w4" and "-w=4" are "-w" with a value, as "--workers=4" is.
    std::string flag = argument;
    std::optional<std::string> value;
    if (argument[1] != '-' && argument.size() > 2) {
      flag = argument.substr(0, 2);
      value = argument.substr(argument[2] == '=' ? 3 : 2);
    } else if (const std::size_t equals = argument.find('='); equals != argument.npos) {
      flag = argument.substr(0, equals);
      value = argument.substr(equals + 1);
    }
    if (const Command* command = find_command(flag)) return take_command(*command, flag, std::move(value));
    if (const auto match = find(flag)) return take_option(*match, flag, std::move(value));
    unknown(flag, value.has_value());
  }

  static std::optional<Match> find(const std::string& flag) {
    if (flag.starts_with("--")) return find_option(std::string_view(flag).substr(2), Spelling::flag);
    for (const Option& option : options()) {
      if (option.short_flag == flag[1]) return Match{&option, {}, false};
    }
    return std::nullopt;
  }

  void take_command(const Command& command, const std::string& flag, std::optional<std::string> value) {
    if (command.argument.empty()) {
      if (value) problems_.add_usage(text(flag, ": takes no value"));
      line_.action = command.action;
      return;
    }
    if (!value) value = following();
    if (!value || value->empty()) return problems_.add_usage(text(flag, ": needs a value, such as ", flag, " settings.json"));
    if (!line_.config_file.empty()) return problems_.add_usage(text(flag, ": given twice; one file holds the configuration"));
    line_.config_file = *value;
  }

  void take_option(const Match& match, const std::string& flag, std::optional<std::string> value) {
    const bool boolean = match.option->type == Type::boolean;
    if (!value && boolean && (next_ == arguments_.size() || !is_word_of_boolean(arguments_[next_]))) value = "true";
    if (!value) value = following();
    if (!value) return problems_.add_usage(text(flag, ": needs a value: ", match.from_file ? "the path of a file" : expectation(*match.option)));
    warn_of_visible_secret(match, flag, *value);
    Assignment assignment{match, Raw{Raw::Form::words, *value}, text("flag ", flag), Layer::flag};
    std::erase_if(line_.assignments, [&](const Assignment& earlier) { return earlier.match.name() == match.name(); });
    line_.assignments.push_back(std::move(assignment));
  }

  // The next argument, unless it is a flag itself ("-1" is a number).
  std::optional<std::string> following() {
    if (next_ == arguments_.size() || arguments_[next_].starts_with("--")) return std::nullopt;
    return arguments_[next_++];
  }

  void unknown(const std::string& flag, bool has_value) {
    const std::string name = flag.starts_with("--") ? flag.substr(2) : "";
    if (!name.empty() && is_section(name)) {
      problems_.add_usage(text(flag, ": is a section; write its options with a dot, such as ", flag, ".NAME VALUE"));
    } else {
      problems_.add_usage(text(flag, ": unknown flag", name.empty() ? "; --help lists all" : near_flag(name)));
    }
    if (!has_value) (void)following();  // most likely its value: one problem, not two
  }

  void warn_of_visible_secret(const Match& match, const std::string& flag, const std::string& value) {
    const bool secret = match.option->secrecy == Secrecy::hidden || (match.option->secrecy == Secrecy::url && redact_url(value) != value);
    if (!secret || match.from_file) return;
    line_.warnings.push_back(
        text(flag, ": shows a secret to everybody who can list processes; use an environment variable or ", flag, "_file PATH."));
  }

  const std::vector<std::string>& arguments_;
  Problems& problems_;
  CommandLine line_;
  std::size_t next_ = 0;
};

}  // namespace

std::span<const Command> commands() { return command_table; }

bool is_informational(Action action) noexcept {
  return action == Action::help || action == Action::version || action == Action::print_schema || action == Action::print_reference;
}

CommandLine parse_command_line(const std::vector<std::string>& arguments, Problems& problems) { return Parser(arguments, problems).run(); }

}  // namespace sluice::config
