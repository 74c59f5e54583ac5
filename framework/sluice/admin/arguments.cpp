#include <sluice/admin/arguments.hpp>

#include <sluice/config/duration.hpp>
#include <sluice/config/translate_table.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <charconv>

namespace sluice::admin {
namespace {

struct Command {
  std::string_view name;
  std::string_view values;   // as shown in help
  unsigned least, most;      // how many values
  std::string_view options;  // own options, separated by spaces
  std::string_view summary;
  std::string_view details;
};

constexpr Command commands[] = {
    {"status", "", 0, 0, "--json", "the instance: workers, budgets, totals", ""},
    {"workers", "", 0, 0, "--json", "every worker slot in use",
     "In thread mode several slots show one pid and one resident size: their process's.\n"},
    {"pools", "", 0, 0, "--json", "every pool of every worker", "\"wait p99\" is the time from asking for a connection to having it.\n"},
    {"permits", "", 0, 0, "--json", "who holds which connection, since when, from which line", ""},
    {"statements", "", 0, 0, "--json", "the SQL statements that run now, longest first", "Without parameter values.\n"},
    {"budget", "[set SERVER=N|auto] [--what-if workers=N instances=N]", 0, 2, "--json --what-if", "the budget of every server, its arithmetic, and its change",
     "  budget                                    as it is; while a lower one waits for connections: who holds them\n"
     "  budget set main=30                        30 connections for server main, now, until the instance ends\n"
     "  budget set main=auto                      back to what is configured\n"
     "  budget --what-if workers=8                with eight workers: nothing is changed\n"
     "  budget --what-if workers=8 instances=3    and on three machines\n"
     "A lower budget is in force once enough connections have come back; nobody loses one in use.\n"
     "Exit code 78 if the numbers are, or would be, refused; the message shows the arithmetic.\n"},
    {"scale", "[kind=]N | [kind=]+N | [kind=]-N", 1, 1, "--json", "change the number of workers, now",
     "  scale 8         eight workers of the first kind\n  scale web=8     eight workers of kind web\n"
     "  scale +2        two more\n  scale jobs=-1   one less of kind jobs\n"
     "Limits are derived anew; a number that the budget cannot carry is refused with the arithmetic.\n"},
    {"restart", "[KIND|SLOT]", 0, 1, "--json --no-wait", "replace workers one after another while the others serve",
     "  restart         every worker\n  restart web     those of kind web\n  restart 3       the one in slot 3\n"
     "First one worker more, if the budget and max_workers have room for it; then each slot: its requests in flight are\n"
     "finished, its connections closed and confirmed, the next life begins. The first newcomer that ends before it is\n"
     "ready stops all of it, exit code 70; who was not replaced serves on. The configuration is not read anew.\n"
     "  --no-wait       return when the master has accepted; \"status\" shows how far it is\n"},
    {"stop", "", 0, 0, "--json --fast --no-wait", "stop the instance and wait until it is gone",
     "  --fast      end requests in flight instead of finishing them\n  --no-wait   return when the master has accepted\n"},
    {"metrics", "", 0, 0, "", "the Prometheus page", ""},
    {"health", "", 0, 0, "--json", "healthy, degraded or unhealthy, and why", "Exit code 69 if unhealthy.\n"},
    {"config", "translate FILE", 1, 2, "--from --json --table", "another pool's configuration in ours; needs no instance",
     "  config translate --from sqlalchemy engine.py    JSON with comments; what has no equal is said, and why\n"
     "  config translate --from pg - < pool.json        from standard input\n"
     "  config translate --table                        what every option of every system is called here\n"
     "FILE: JSON, YAML, .env, .properties, a url, or a program's literals (Python, JavaScript, PHP, Go, Java).\n"
     "Exit code 78 if something was not understood; it is named with its line. --from knows:\n"},
};

constexpr std::string_view common_options[] = {"--control", "--timeout", "--help"};

[[noreturn]] void usage(const std::string& message) { throw ExitError(ExitCode::usage, message); }

const Command* find(std::string_view name) {
  const auto it = std::find_if(std::begin(commands), std::end(commands), [&](const Command& c) { return c.name == name; });
  return it == std::end(commands) ? nullptr : it;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
  const std::string_view near = closest(word, candidates.data(), candidates.data() + candidates.size());
  return near.empty() ? std::string() : text("; did you mean \"", near, "\"?");
}

const Command& command_named(const std::string& name) {
  if (const Command* command = find(name)) return *command;
  std::vector<std::string_view> names;
  for (const Command& c : commands) names.push_back(c.name);
  usage(text("unknown command \"", name, "\"", did_you_mean(name, names), " (\"--help\" lists them)"));
}

// Words of a command's option list.
std::vector<std::string_view> words(std::string_view list) {
  std::vector<std::string_view> out;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(' '), list.size());
    out.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

bool is_value(std::string_view word) { return word.size() < 2 || word[0] != '-' || (word[1] >= '0' && word[1] <= '9'); }

bool known_option(std::string_view name) {
  if (std::find(std::begin(common_options), std::end(common_options), name) != std::end(common_options)) return true;
  return std::any_of(std::begin(commands), std::end(commands), [&](const Command& c) {
    const auto own = words(c.options);
    return std::find(own.begin(), own.end(), name) != own.end();
  });
}

Duration timeout_value(const std::string& value) {
  const auto parsed = config::parse_duration(value);
  if (!parsed) usage(text("--timeout \"", value, "\": ", parsed.problem, " (for example 5s)"));
  if (parsed.value <= Duration::zero()) usage("--timeout must be longer than 0s");
  return parsed.value;
}

std::string translatable() {
  std::string out;
  for (const config::Ecosystem& ecosystem : config::ecosystems()) out += text(out.empty() ? "" : ", ", ecosystem.name);
  return out;
}

// config translate --from NAME FILE, or config translate --table.
void check_config(const Invocation& asked) {
  if (asked.values.front() != "translate") usage(text("\"config ", asked.values.front(), "\": there is only \"config translate\""));
  if (asked.table) {
    if (asked.values.size() > 1 || !asked.from.empty()) usage("--table is the whole table: it takes neither --from nor a file");
    return;
  }
  if (asked.from.empty()) usage(text("--from is missing: what the file is written for; it knows ", translatable()));
  if (!config::find_ecosystem(asked.from)) {
    const std::string near = config::ecosystem_suggestion(asked.from);
    usage(text("--from \"", asked.from, "\" is unknown", near.empty() ? "" : text("; did you mean \"", near, "\"?"), " (it knows ", translatable(), ")"));
  }
  if (asked.values.size() < 2) usage("\"config translate\" needs a file, or - for standard input");
}

}  // namespace

Invocation parse_arguments(const std::vector<std::string>& arguments) {
  Invocation out;
  std::vector<std::string> own_options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (is_value(word)) {
      if (out.command.empty()) {
        out.command = word;
      } else {
        out.values.push_back(word);
      }
      continue;
    }
    const std::size_t equals = word.find('=');
    const std::string name = word == "-h" ? "--help" : word.substr(0, equals);
    const auto option_value = [&]() -> std::string {
      if (equals != std::string::npos) return word.substr(equals + 1);
      if (i + 1 == arguments.size()) usage(text("option ", name, " needs a value"));
      return arguments[++i];
    };
    if (name == "--control") {
      out.control = option_value();
      if (out.control.empty()) usage("--control needs the path of a control socket");
    } else if (name == "--timeout") {
      out.timeout = timeout_value(option_value());
    } else if (name == "--from") {
      out.from = option_value();
      if (out.from.empty()) usage(text("--from needs a name: ", translatable()));
      own_options.push_back(name);
    } else if (equals != std::string::npos && known_option(name)) {
      usage(text("option ", name, " takes no value"));
    } else if (name == "--help") {
      out.help = true;
    } else {
      own_options.push_back(name);
    }
  }
  if (out.command == "help") {
    out.command = out.values.empty() ? "" : out.values.front();
    out.values.clear();
    out.help = true;
  }
  if (out.command.empty()) {
    if (out.help || arguments.empty()) return out.help = true, out;
    usage("a command is missing (\"--help\" lists them)");
  }
  const Command& command = command_named(out.command);
  const auto own = words(command.options);
  for (const std::string& name : own_options) {
    if (std::find(own.begin(), own.end(), name) == own.end()) {
      if (known_option(name)) usage(text("option ", name, " does not go with \"", command.name, "\""));
      std::vector<std::string_view> candidates = own;
      candidates.insert(candidates.end(), std::begin(common_options), std::end(common_options));
      usage(text("unknown option ", name, did_you_mean(name, candidates)));
    }
    out.json = out.json || name == "--json";
    out.fast = out.fast || name == "--fast";
    out.no_wait = out.no_wait || name == "--no-wait";
    out.what_if = out.what_if || name == "--what-if";
    out.table = out.table || name == "--table";
  }
  if (out.help) return out;
  if (out.values.size() < command.least) usage(text("\"", command.name, "\" needs a value: ", command.values));
  if (out.values.size() > command.most) usage(text("\"", command.name, "\" does not take \"", out.values[command.most], "\""));
  if (out.command == "config") check_config(out);
  return out;
}

std::string what_if_query(const Invocation& asked) {
  if (asked.values.empty() == asked.what_if)
    usage(asked.what_if ? "--what-if needs workers=N, instances=N or both" : text("\"", asked.values.front(), "\": write \"budget set main=30\" or \"budget --what-if workers=8\""));
  std::string query;
  for (const std::string& value : asked.values) {
    const std::size_t equals = value.find('=');
    const std::string name = value.substr(0, equals);
    const std::string number = equals == std::string::npos ? "" : value.substr(equals + 1);
    const bool digits = !number.empty() && number.size() <= 6 && number.find_first_not_of("0123456789") == std::string::npos;
    if ((name != "workers" && name != "instances") || !digits) usage(text("\"", value, "\": write workers=8 or instances=3"));
    query += text(query.empty() ? "?" : "&", value);
  }
  return query;
}

std::optional<BudgetTarget> parse_budget_set(const Invocation& asked) {
  if (asked.values.empty() || asked.values.front() != "set") return std::nullopt;
  if (asked.what_if) usage("\"budget set\" changes the budget, --what-if changes nothing: use one of them");
  if (asked.values.size() != 2) usage("\"budget set\" needs a server and its total: budget set main=30");
  const std::string& word = asked.values[1];
  const std::size_t equals = word.find('=');
  const std::string number = equals == std::string::npos ? "" : word.substr(equals + 1);
  BudgetTarget out;
  out.server = word.substr(0, equals);
  const bool digits = !number.empty() && number.size() <= 9 && number.find_first_not_of("0123456789") == std::string::npos;
  if (out.server.empty() || (!digits && number != "auto")) usage(text("\"", word, "\" is no budget: write main=30, or main=auto for what is configured"));
  if (digits) out.total = std::stoll(number);
  if (out.total == 0) usage(text("\"", word, "\": a budget is at least 1"));
  return out;
}

ScaleTarget parse_scale(std::string_view word) {
  ScaleTarget out;
  std::string_view number = word;
  if (const std::size_t equals = word.find('='); equals != std::string_view::npos) {
    out.kind = word.substr(0, equals);
    number = word.substr(equals + 1);
    if (out.kind.empty()) usage(text("\"", word, "\" names no worker kind before the \"=\""));
  }
  out.relative = !number.empty() && (number[0] == '+' || number[0] == '-');
  std::string_view digits = number;
  if (!digits.empty() && digits[0] == '+') {
    digits.remove_prefix(1);
    if (!digits.empty() && digits[0] == '-') digits = {};  // "+-2"
  }
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), out.value);
  if (result.ec != std::errc{} || result.ptr != digits.data() + digits.size())
    usage(text("\"", word, "\" is no number of workers: write 8, +2, -2 or with a kind web=8"));
  return out;
}

RestartTarget parse_restart(const Invocation& asked) {
  RestartTarget out;
  if (asked.values.empty()) return out;
  const std::string& word = asked.values.front();
  if (word.empty() || word.find_first_not_of("0123456789") != std::string::npos) {
    if (word.empty() || word[0] == '-') usage(text("\"", word, "\" is neither a kind nor a slot: write restart, restart web or restart 3"));
    out.kind = word;
    return out;
  }
  std::uint32_t slot = 0;
  const auto result = std::from_chars(word.data(), word.data() + word.size(), slot);
  if (result.ec != std::errc{}) usage(text("\"", word, "\" is no slot's number; \"workers\" lists them"));
  out.slot = slot;
  return out;
}

std::string help_text(const std::string& program, const std::string& name) {
  if (!name.empty()) {
    const Command& command = command_named(name);
    std::string out = text("usage: ", program, " ", command.name);
    if (!command.values.empty()) out += text(" ", command.values);
    for (std::string_view option : words(command.options)) out += text(" [", option, "]");
    return out + text(" [--control PATH] [--timeout 5s]\n\n", command.summary, "\n", command.details.empty() ? "" : "\n", command.details,
                      command.name == "config" ? text("  ", translatable(), "\n") : "");
  }
  std::string out = text("usage: ", program, " COMMAND [options]\n\nAsks a running instance, or tells it what to do.\n\ncommands:\n");
  for (const Command& command : commands) out += text("  ", command.name, std::string(12 - command.name.size(), ' '), command.summary, "\n");
  out += text(
      "\noptions:\n"
      "  --control PATH   the instance's control socket; without it the one running instance is found\n"
      "  --timeout 5s     how long to wait for an answer\n"
      "  --json           the answer as JSON, for scripts\n"
      "  --help           this text; after a command, about the command\n\n"
      "exit codes: 0 done, 64 wrong usage, 69 no instance or no answer, 70 internal error, 75 try again, 78 refused by the configuration\n");
  return out;
}

}  // namespace sluice::admin
