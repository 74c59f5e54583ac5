// A translation as a configuration file, and the table as a page.
#include <sluice/config/table.hpp>
#include <sluice/config/translate.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

namespace sluice::config {
namespace {

std::string literal(const Translated& option) {
  const auto match = find_option(option.name, Spelling::exact);
  const Type type = match->option->type;
  const bool bare = (type == Type::integer || type == Type::number || type == Type::boolean) && option.value.find('$') == std::string::npos &&
                    option.value != match->option->absent;
  const bool number = bare && option.value.find_first_not_of("0123456789.") == std::string::npos;
  return number || (bare && type == Type::boolean) ? option.value : nlohmann::json(option.value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Comments hold what others wrote: one line each.
std::string one_line(std::string s) {
  std::replace_if(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return s;
}

std::string comment_of(const Translated& option) {
  std::string out = option.theirs;
  if (!option.remark.empty()) out += text(out.empty() ? "" : ": ", option.remark);
  return out.empty() ? "" : text("  // ", one_line(out));
}

struct Line {
  std::vector<std::string> path;
  const Translated* option;
};

std::vector<std::string> segments(const std::string& name) {
  std::vector<std::string> out(1);
  for (const char c : name) {
    if (c == '.') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

std::string cell(std::string_view s) {
  std::string out;
  for (const char c : s) out += c == '|' ? "\\|" : std::string(1, c);
  return out;
}

std::string ours_of(const ForeignOption& option) {
  switch (option.conversion) {
    case Conversion::none: return "–";
    case Conversion::code: return text("in code: `", short_name(option.ours), "`");
    case Conversion::builtin: return text("nothing to set: ", option.ours);
    case Conversion::parameter: return text("`url`, its parameter `", option.ours, "`");
    default: break;
  }
  return text("`", short_name(option.ours), "`");
}

std::string remark_of(const ForeignOption& option) {
  std::string out;
  for (const std::string_view pair : words_of(option.special)) {
    const std::size_t equals = pair.find('=');
    const std::string_view ours = pair.substr(equals + 1);
    out += text(out.empty() ? "" : ", ", "`", pair.substr(0, equals), "` → ", ours.empty() ? "left out" : text("`", ours, "`"));
  }
  if (option.conversion == Conversion::sum) out += text(out.empty() ? "" : ", ", "added up");
  if (!option.remark.empty()) out += text(out.empty() ? "" : "; ", option.remark);
  return out;
}

}  // namespace

std::string to_text(const Translation& translation) {
  std::string out = text("// Translated from ", translation.from, ", ", one_line(translation.file), ". Check it with --check-config.\n{");
  // By section, pool by pool: objects open and close once.
  std::vector<Line> lines;
  for (const Translated& option : translation.options) lines.push_back({segments(option.name), &option});
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    const std::vector<std::string> pa(a.path.begin(), a.path.end() - 1), pb(b.path.begin(), b.path.end() - 1);
    return pa < pb;
  });
  std::vector<std::string> open;
  bool first = true;
  std::string pending;  // the comment of the line before, which follows its comma
  const auto begin_line = [&](bool comma) {
    out += text(comma ? "," : "", pending, "\n", std::string(2 * (open.size() + 1), ' '));
    pending.clear();
  };
  const auto close_to = [&](std::size_t depth) {
    while (open.size() > depth) {
      open.pop_back();
      out += text(pending, "\n", std::string(2 * (open.size() + 1), ' '), "}");
      pending.clear();
      first = false;
    }
  };
  for (const Line& line : lines) {
    std::size_t common = 0;
    while (common < open.size() && common + 1 < line.path.size() && open[common] == line.path[common]) ++common;
    close_to(common);
    while (open.size() + 1 < line.path.size()) {
      begin_line(!first);
      out += text("\"", line.path[open.size()], "\": {");
      open.push_back(line.path[open.size()]);
      first = true;
    }
    begin_line(!first);
    out += text("\"", line.path.back(), "\": ", literal(*line.option));
    pending = comment_of(*line.option);
    first = false;
  }
  close_to(0);
  out += text(pending, "\n}\n");
  if (!translation.remarks.empty()) out += "\n// Besides:\n";
  for (const Remark& remark : translation.remarks) out += text("//   line ", remark.line, ": ", one_line(remark.theirs), ": ", one_line(remark.said), "\n");
  if (!translation.problems.empty()) out += "\n// Not understood, or not possible:\n";
  for (const std::string& problem : translation.problems) out += text("//   ", one_line(problem), "\n");
  return out;
}

void print_coming_from(std::ostream& out) {
  out << "# Coming from another pool\n\n"
         "What the options of other pools are called here. `app ctl config translate --from NAME FILE` (or `sluicectl …`) turns a\n"
         "configuration into ours by this table: JSON, YAML, `.env` and `.properties` files, a url with parameters, or the literals in a\n"
         "program (Python, JavaScript, PHP, Go, Java). It needs no running instance, looks up no variable (`${NAME}` stays), says at\n"
         "each value where it came from, and names what it did not understand; then it ends with exit code 78.\n\n"
         "Two things are different everywhere. `max` bounds one worker's pool; what all workers of an instance may open together is the\n"
         "server's budget, `servers.<name>.total`, which is hard. And durations carry their unit: `30000` there is `\"30s\"` here.\n\n"
         "This page is written from the table by `sluicectl config translate --table`; a test holds it.\n";
  for (const Ecosystem& ecosystem : ecosystems()) {
    out << "\n## " << ecosystem.title << "\n\n`--from " << ecosystem.name << "`";
    for (const std::string_view alias : words_of(ecosystem.aliases)) out << ", `--from " << alias << "`";
    if (!ecosystem.pools.empty()) out << ". Each entry of `" << ecosystem.pools << "` becomes a pool; a single one, and `default`, is called `main`";
    out << ".\n\n| their name | unit | ours | remark |\n|---|---|---|---|\n";
    for (const ForeignOption& option : ecosystem.options)
      out << "| `" << cell(option.name) << "` | " << option.unit << " | " << cell(ours_of(option)) << " | " << cell(remark_of(option)) << " |\n";
  }
}

}  // namespace sluice::config
