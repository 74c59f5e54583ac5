#include <sluice/config/translate_source.hpp>

#include <sluice/core/text.hpp>

#include <algorithm>
#include <cctype>

namespace sluice::config {
namespace {

using Form = Raw::Form;

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.front()))) s.remove_prefix(1);
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.back()))) s.remove_suffix(1);
  return s;
}

std::string extension_of(std::string_view file) {
  const std::size_t slash = file.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? file : file.substr(slash + 1);
  if (name == ".env" || name.starts_with(".env.")) return "env";
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? "" : std::string(name.substr(dot + 1));
}

std::vector<std::string_view> lines_of(std::string_view content) {
  std::vector<std::string_view> out;
  while (!content.empty()) {
    const std::size_t end = std::min(content.find('\n'), content.size());
    out.push_back(trimmed(content.substr(0, end)));
    content.remove_prefix(std::min(end + 1, content.size()));
  }
  return out;
}

bool is_comment(std::string_view line) { return line.empty() || line.starts_with('#') || line.starts_with('!') || line.starts_with("//"); }

// The first line that says something looks like NAME=value or a.b=value, and nothing opens a bracket there.
bool is_variables(const std::vector<std::string_view>& lines) {
  const auto first = std::find_if(lines.begin(), lines.end(), [](std::string_view line) { return !is_comment(line); });
  if (first == lines.end()) return false;
  std::string_view line = *first;
  if (line.starts_with("export ")) line = trimmed(line.substr(7));
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = line.substr(0, equals);
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return std::isupper(static_cast<unsigned char>(c)) || c == '_' || std::isdigit(static_cast<unsigned char>(c)); });
}

Form form_of(std::string_view word) {
  if (word.empty()) return Form::null;
  if (word == "true" || word == "false") return Form::boolean;
  const std::string_view digits = word.substr(word.starts_with('-') ? 1 : 0);
  const bool number = !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; }) &&
                      std::count(digits.begin(), digits.end(), '.') <= 1;
  return number ? Form::number : Form::string;
}

void read_variables(const std::vector<std::string_view>& lines, const std::string& file, Source& out, Problems& problems) {
  out.variables = true;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    if (is_comment(line)) continue;
    if (line.starts_with("export ")) line = trimmed(line.substr(7));
    const std::size_t equals = line.find_first_of("=:");
    if (equals == std::string_view::npos || equals == 0) {
      problems.add("", text("file ", file, ":", i + 1, ": is no NAME=value; write one, or # in front of a comment"));
      continue;
    }
    const std::string_view name = trimmed(line.substr(0, equals));
    std::string_view value = trimmed(line.substr(equals + 1));
    const bool quoted = value.size() > 1 && (value[0] == '"' || value[0] == '\'') && value.back() == value[0];
    if (quoted) {
      value = value.substr(1, value.size() - 2);
    } else if (const std::size_t comment = value.find(" #"); comment != std::string_view::npos) {
      value = trimmed(value.substr(0, comment));
    }
    out.settings.push_back({std::string(name), form_of(value), std::string(value), static_cast<int>(i + 1)});
  }
}

std::string joined(const std::string& parent, const std::string& key) { return parent.empty() ? key : text(parent, ".", key); }

void flatten(const Node& node, const std::string& path, std::vector<Setting>& out);

void flatten_list(const Node& node, const std::string& path, std::vector<Setting>& out) {
  // ("name", value), as gRPC's options are written.
  if (node.items.size() == 2 && node.items[0].form == Form::string && node.items[1].form != Form::string && node.items[1].items.empty())
    return flatten(node.items[1], joined(path, node.items[0].text), out);
  const bool nested = std::any_of(node.items.begin(), node.items.end(), [](const Node& item) { return !item.members.empty() || !item.items.empty(); });
  if (nested) {
    for (const Node& item : node.items) flatten(item, path, out);
    return;
  }
  std::string all;
  for (const Node& item : node.items) all += text(all.empty() ? "" : ", ", item.text);
  out.push_back({path, Form::list, all, node.line});
}

void flatten(const Node& node, const std::string& path, std::vector<Setting>& out) {
  if (node.form == Form::list) return flatten_list(node, path, out);
  if (node.form != Form::object) {
    out.push_back({path, node.form, node.text, node.line});
    return;
  }
  for (const Member& member : node.members) flatten(member.value, joined(path, member.key), out);
}

bool is_url(std::string_view content) {
  const std::string_view text = trimmed(content);
  const std::size_t colon = text.find(':');
  return colon != std::string_view::npos && text.find('\n') == std::string_view::npos && text.find_first_of(" \"'(){}=") > colon &&
         (text.find("://") != std::string_view::npos || text.starts_with("sqlite:"));
}

}  // namespace

std::vector<Setting> read_keywords(std::string_view words, int line) {
  std::vector<Setting> out;
  while (!(words = trimmed(words)).empty()) {
    const std::size_t equals = words.find('=');
    if (equals == std::string_view::npos) break;
    const std::string name(trimmed(words.substr(0, equals)));
    words = trimmed(words.substr(equals + 1));
    std::string value;
    const bool quoted = words.starts_with('\'');
    if (quoted) words.remove_prefix(1);
    while (!words.empty() && (quoted ? words[0] != '\'' : !std::isspace(static_cast<unsigned char>(words[0])))) {
      if (words[0] == '\\' && words.size() > 1) words.remove_prefix(1);
      value += words[0];
      words.remove_prefix(1);
    }
    if (quoted && !words.empty()) words.remove_prefix(1);
    const Form form = quoted ? Form::string : form_of(value);
    out.push_back({name, form, std::move(value), line});
  }
  return out;
}

Source read_source(const std::string& content, const std::string& file, std::span<const std::string_view> openers, Problems& problems) {
  Source out;
  const std::string extension = extension_of(file);
  const auto lines = lines_of(content);
  const bool data = extension == "json" || extension == "jsonc" || extension == "yaml" || extension == "yml";
  std::optional<Node> root;
  if (trimmed(content).empty()) {
    problems.add("", text("file ", file, ": is empty; give a file with the pool's configuration"));
  } else if (is_url(content)) {
    out.settings.push_back({"url", Form::string, std::string(trimmed(content)), 1});
  } else if (extension == "env" || extension == "properties" || (extension.empty() && is_variables(lines))) {
    read_variables(lines, file, out, problems);
  } else {
    if (extension == "json" || extension == "jsonc") {
      root = parse_json(content, file, problems);
    } else if (data) {
      root = parse_yaml(content, file, problems);
    } else {
      root = parse_literals(content, file, openers, problems);
    }
    if (root) flatten(*root, "", out.settings);
    if (root && out.settings.empty()) problems.add("", text("file ", file, ": holds no setting; give one with name and value pairs, such as {\"max\": 10}"));
  }
  return out;
}

}  // namespace sluice::config
