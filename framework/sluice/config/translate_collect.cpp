#include <sluice/config/translate_collect.hpp>

#include <sluice/config/duration.hpp>
#include <sluice/config/redact.hpp>
#include <sluice/config/table.hpp>
#include <sluice/config/translate_source.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <optional>
#include <sstream>

namespace sluice::config {
namespace {

using Form = Raw::Form;

// "1h30m" of Go as ours: one number and one unit where that is exact.
Parsed<Duration> parse_go(std::string_view written) {
  Duration sum{};
  while (!written.empty()) {
    const std::size_t unit = written.find_first_not_of("0123456789.");
    const std::size_t end = unit == std::string_view::npos ? unit : written.find_first_of("0123456789.", unit);
    std::string part(written.substr(0, end));
    if (part.ends_with("m")) part += "in";
    const auto parsed = parse_duration(part);
    if (!parsed) return Parsed<Duration>::wrong("is no duration; write a number and a unit, such as \"30m\" or \"1h30m\"");
    sum += parsed.value;
    written.remove_prefix(end == std::string_view::npos ? written.size() : end);
  }
  return sum;
}

std::string_view unit_name(std::string_view unit) {
  return unit == "ms" ? "milliseconds" : unit == "s" ? "seconds" : unit == "min" ? "minutes" : "Go's units, such as 30m";
}

// `special` is a list "theirs=ours": the second, if `written` is one of the first.
std::optional<std::string> special_value(const ForeignOption& option, std::string_view written) {
  for (const std::string_view pair : words_of(option.special)) {
    const std::size_t equals = pair.find('=');
    if (pair.substr(0, equals) == written) return std::string(pair.substr(equals + 1));
  }
  return std::nullopt;
}

class Collector {
 public:
  Collector(const Ecosystem& from, const std::string& file) : from_(from), file_(file) {}

  Collected run(const std::string& content) {
    Problems malformed;
    const Source source = read_source(content, file_, words_of(from_.openers), malformed);
    malformed.throw_if_any();
    variables_ = source.variables;
    if (variables_) server_prefix_ = prefix_of_server(source.settings);
    for (const Setting& setting : source.settings) read(setting);
    if (out_.problems.empty() && out_.values.empty() && out_.urls.empty() && out_.remarks.empty())
      throw ConfigError(text("file ", file_, ": holds no setting of ", from_.title, "; check --from, or give the part that configures the pool"));
    return std::move(out_);
  }

 private:
  std::string at(const Setting& setting) const { return text(file_, ":", setting.line); }
  static std::string shown_value(const Setting& setting) {
    if (sounds_secret(setting.path.substr(setting.path.rfind('.') + 1))) return "***";
    std::string value = redact_url(setting.text);
    if (value.size() > 80) value = value.substr(0, 80) + "…";
    return setting.form == Form::string ? text("\"", value, "\"") : value.empty() ? "null" : value;
  }
  void problem(const Setting& setting, const std::string& why) {
    out_.problems.push_back(text(at(setting), ": ", setting.path, " = ", shown_value(setting), ": ", why));
  }

  // ---- which option, which pool

  // The row whose name is the longest end of the path; one in the same spelling before another, "name.*" (or "name.*.*") after all.
  const ForeignOption* find(const std::string& path) const {
    const ForeignOption* best = nullptr;
    std::size_t length = 0;
    const std::string plain = plain_name(path);
    for (const ForeignOption& option : from_.options) {
      std::string name = plain_name(option.name);
      std::string_view whole = plain;
      while (name.ends_with(".*")) {
        name.resize(name.size() - 2);
        whole = whole.substr(0, std::min(whole.rfind('.'), whole.size()));
      }
      const bool fits = whole == name || (whole.ends_with(name) && whole[whole.size() - name.size() - 1] == '.');
      const std::size_t rank = option.name.ends_with('*') ? 1 : 2 * name.size() + (path.ends_with(option.name) ? 1 : 0);
      if (fits && rank > length) {
        best = &option;
        length = rank;
      }
    }
    return best;
  }

  // Names of variables carry prefixes: DB_POOL_MAX is pool_max behind DB_.
  struct Variable {
    const ForeignOption* option = nullptr;
    std::string_view prefix;
  };
  Variable find_variable(std::string_view name) const {
    for (std::string_view rest = name;;) {
      if (const ForeignOption* option = find(std::string(rest))) return {option, name.substr(0, name.size() - rest.size())};
      const std::size_t cut = rest.find_first_of("_.");
      if (cut == std::string_view::npos) return {};
      rest.remove_prefix(std::min(rest.find_first_not_of("_.", cut), rest.size()));
    }
  }

  static bool names_server(const ForeignOption& option) {
    return option.conversion >= Conversion::url && option.conversion <= Conversion::database;
  }

  // An environment holds more than one server (DB_HOST, MAIL_HOST): the pool's is the one with the most said about it.
  std::string prefix_of_server(const std::vector<Setting>& settings) const {
    std::map<std::string, int> weights;
    for (const Setting& setting : settings) {
      const Variable variable = find_variable(setting.path);
      if (!variable.option) continue;
      const std::string prefix(variable.prefix), plain = plain_name(prefix);
      weights[prefix] += names_server(*variable.option) ? 2 : 0;
      for (const std::string_view word : {"db", "database", "datasource"}) weights[prefix] += plain.find(word) != std::string::npos ? 1 : 0;
    }
    const auto most = std::max_element(weights.begin(), weights.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == weights.end() ? "" : most->first;
  }

  std::string pool_of(const std::string& path) const {
    if (from_.pools.empty()) return "main";
    const std::string container = plain_name(from_.pools);
    std::istringstream segments(path);
    for (std::string segment; std::getline(segments, segment, '.');) {
      if (plain_name(segment) != container) continue;
      return std::getline(segments, segment, '.') && is_key(segment) ? segment : "main";
    }
    return "main";
  }

  void read(Setting setting) {
    if (setting.path.starts_with('#')) {
      const auto names = words_of(from_.positional);
      const std::size_t position = std::stoul(setting.path.substr(1));
      if (position >= names.size()) return;  // an argument that is no setting, such as the function to pool
      setting.path = names[position];
    }
    const Variable variable = variables_ ? find_variable(setting.path) : Variable{find(setting.path), {}};
    const ForeignOption* option = variable.option;
    if (!option) return unknown(setting);
    if (variables_ && names_server(*option) && variable.prefix != server_prefix_ && !variable.prefix.empty())
      return remark_plain(setting, "says where another server is: left alone");
    take(*option, pool_of(setting.path), setting);
  }

  void unknown(const Setting& setting) {
    std::vector<std::string_view> names;
    for (const ForeignOption& option : from_.options) names.push_back(option.name);
    const std::string last = setting.path.substr(setting.path.rfind('.') + 1);
    const std::string_view near = closest(last, names.data(), names.data() + names.size());
    if (variables_ && near.empty()) return remark_plain(setting, "is no option of the pool: left alone");
    problem(setting, text("is no option of ", from_.title, " that is known here", near.empty() ? "" : text("; did you mean \"", near, "\"?"),
                          "; it was left out"));
  }

  // ---- one setting

  void take(const ForeignOption& option, const std::string& pool, const Setting& setting) {
    if (option.conversion == Conversion::code || option.conversion == Conversion::builtin || option.conversion == Conversion::none)
      return remark(option, setting);
    if (const auto special = special_value(option, setting.form == Form::null ? "none" : setting.text)) {
      if (special->empty()) return remark(option, setting);
      return put(option, pool, setting, *special, true);
    }
    if (setting.form == Form::words)
      return problem(setting, text("is computed by the program; write ", short_name(option.ours), " yourself, or give a file with its value"));
    if (setting.form == Form::null) return remark_plain(setting, "not set there, left at the default here");
    switch (option.conversion) {
      case Conversion::duration: return duration(option, pool, setting);
      case Conversion::same:
      case Conversion::sum: return put(option, pool, setting, setting.text, false);
      case Conversion::url: return url(pool, setting);
      default: break;
    }
    UrlParts& parts = out_.urls[pool];
    parts.line = parts.line == 0 ? setting.line : parts.line;
    const std::string value = setting.text.substr(0, setting.form == Form::list ? setting.text.find(',') : std::string::npos);
    if (option.conversion == Conversion::scheme) parts.scheme = scheme_named(value);
    if (option.conversion == Conversion::host) parts.host = value;
    if (option.conversion == Conversion::port) parts.port = value;
    if (option.conversion == Conversion::user) parts.user = value;
    if (option.conversion == Conversion::password) parts.password = value;
    if (option.conversion == Conversion::database) parts.database = value;
    if (option.conversion == Conversion::parameter) parts.parameters.emplace_back(option.ours, value);
  }

  void duration(const ForeignOption& option, const std::string& pool, const Setting& setting) {
    if (is_variable(setting.text)) return put(option, pool, setting, option.unit == "go" ? setting.text : text(setting.text, option.unit), false);
    if (option.unit == "go") {
      const auto parsed = parse_go(setting.text);
      if (!parsed) return problem(setting, parsed.problem);
      return put(option, pool, setting, format_duration(parsed.value), false);
    }
    if (setting.form == Form::number) {
      const auto parsed = parse_duration(text(setting.text, option.unit));
      if (!parsed) return problem(setting, text(parsed.problem, "; ", option.name, " counts ", unit_name(option.unit)));
      return put(option, pool, setting, format_duration(parsed.value), false);
    }
    const auto with_unit = parse_duration(setting.text);
    problem(setting, text("has no unit there: ", option.name, " counts ", unit_name(option.unit), "; ",
                          with_unit ? text("write ", count_of(with_unit.value, option.unit)) : text("write a number, such as ", option.unit == "ms" ? "30000" : "30")));
  }

  static std::string count_of(Duration duration, std::string_view unit) {
    const Duration one = parse_duration(text("1", unit)).value;
    return text(static_cast<double>(duration.count()) / static_cast<double>(one.count()));
  }

  void url(const std::string& pool, const Setting& setting) {
    if (setting.text.find("://") == std::string::npos && setting.text.find('=') != std::string::npos && !is_variable(setting.text)) {
      for (Setting& word : read_keywords(setting.text, setting.line)) read(std::move(word));
      return;
    }
    UrlParts& parts = out_.urls[pool];
    if (parts.line == 0) parts.line = setting.line;
    // Parameters of the pool travel in the url; the driver's own stay there.
    for (auto& [name, value] : parts.take_url(setting.text)) {
      const ForeignOption* option = find(name);
      const bool ours = option && option->conversion != Conversion::parameter;
      if (ours) {
        Setting parameter = setting;
        parameter.path = name;
        parameter.text = value;
        const bool number = !value.empty() && value.find_first_not_of("0123456789.-") == std::string::npos;
        parameter.form = number ? Form::number : value == "true" || value == "false" ? Form::boolean : Form::string;
        take(*option, pool, parameter);
      } else {
        parts.parameters.emplace_back(name, value);
        if (!option) remark_plain(setting, text("the parameter ", name, " stays in the url: the driver judges it"), name);
      }
    }
  }

  void put(const ForeignOption& option, const std::string& pool, const Setting& setting, const std::string& value, bool special) {
    const std::string name = filled(option.ours, pool);
    Collected::Slot& slot = out_.values[name];
    const bool again = !slot.theirs.empty();
    if (again && option.conversion == Conversion::sum && slot.summed) {
      slot.theirs += text(" + ", setting.path);
      if (slot.fixed) return;
      if (!special && !is_variable(value) && !is_variable(slot.value)) {
        slot.value = text(std::strtoll(slot.value.c_str(), nullptr, 10) + std::strtoll(value.c_str(), nullptr, 10));
      } else if (special) {
        slot.value = value;
        slot.fixed = true;
      } else {
        problem(setting, text("cannot be added to ", slot.value, " without its value; write ", name, " yourself"));
      }
      return;
    }
    if (again && slot.value != value)
      remark_plain(setting, text("also sets ", name, ", as ", slot.theirs, " of line ", slot.line, " does; this one, ", value, ", is used"));
    slot = {value, setting.path.substr(setting.path.rfind('.') + 1), std::string(option.remark), setting.line, option.conversion == Conversion::sum, special};
    lengthy(option, setting, value);
  }

  // Thirty thousand of seconds were most likely meant as milliseconds.
  void lengthy(const ForeignOption& option, const Setting& setting, const std::string& value) {
    if (!option.ours.ends_with("acquire_timeout") && !option.ours.ends_with("connect_timeout")) return;
    const auto parsed = parse_duration(value);
    if (parsed && parsed.value >= 10min)
      remark_plain(setting, text(value, " is very long for ", option.name, ", which counts ", unit_name(option.unit), ": check the unit"));
  }

  void remark(const ForeignOption& option, const Setting& setting) {
    std::string said(option.remark);
    if (option.conversion == Conversion::none) said = text("no equal: ", said);
    if (option.conversion == Conversion::code || option.conversion == Conversion::builtin)
      said = text(option.conversion == Conversion::code ? "in code: " : "always so: ", short_name(option.ours),
                  said.empty() ? "" : ": ", said);
    if (option.conversion != Conversion::code && option.conversion != Conversion::builtin && option.conversion != Conversion::none)
      said = text("left at the default of ", short_name(option.ours), said.empty() ? "" : ": ", said);
    remark_plain(setting, said);
  }
  void remark_plain(const Setting& setting, std::string said, std::string theirs = {}) {
    out_.remarks.push_back({theirs.empty() ? setting.path : std::move(theirs), setting.line, std::move(said)});
  }

  const Ecosystem& from_;
  const std::string& file_;
  bool variables_ = false;
  std::string server_prefix_;  // of the variables that name the pool's server
  Collected out_;
};

}  // namespace

Collected collect(const Ecosystem& from, const std::string& content, const std::string& file) { return Collector(from, file).run(content); }

}  // namespace sluice::config
