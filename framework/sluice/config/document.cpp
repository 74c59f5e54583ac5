#include <sluice/config/document.hpp>
#include <sluice/config/file.hpp>
#include <sluice/config/variables.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>

namespace sluice::config {
namespace {

using Form = Raw::Form;

class Reader {
 public:
  Reader(const std::string& file, const Environment& environment, Problems& problems) : file_(file), environment_(environment), problems_(problems) {}

  void expand(Node& node, const std::string& name) {
    if (node.form == Form::string && node.text.find("${") != std::string::npos) {
      auto expanded = expand_variables(node.text, environment_);
      if (!expanded) problems_.add(name, text(name, " (file ", file_, ":", node.line, "): ", expanded.problem));
      // A variable has no type: what it holds may be any. The application's own texts stay texts.
      node.text = std::move(expanded.value);
      if (!is_app(name)) node.form = Form::words;
    }
    for (Member& member : node.members) expand(member.value, joined(name, member.key));
    for (Node& item : node.items) expand(item, name);
  }

  // One entry for each scalar, list and empty object below `node`.
  void flatten(const Node& node, const std::string& name, std::vector<Entry>& out) {
    if (node.form != Form::object || node.members.empty() || is_leaf(node, name)) {
      out.push_back({name, raw(node, name), node.line});
      return;
    }
    for (const Member& member : node.members) {
      if ((!is_app(name) || name == "app") && (member.key.empty() || member.key.find('.') != std::string::npos)) {
        problems_.add("", text(joined(name, member.key), " (file ", file_, ":", member.value.line,
                               "): a key cannot be empty or hold a dot; nest objects instead"));
        continue;
      }
      flatten(member.value, joined(name, member.key), out);
    }
  }

 private:
  static std::string joined(const std::string& parent, const std::string& key) { return parent.empty() ? key : text(parent, ".", key); }
  static bool is_app(const std::string& name) { return name == "app" || name.starts_with("app."); }

  // Dotted names cannot tell "a.b" from b in a: such an object of the application's stays whole.
  static bool is_leaf(const Node& node, const std::string& name) {
    if (name == "workers") return true;
    const auto undotted = [](const Member& member) { return !member.key.empty() && member.key.find('.') == std::string::npos; };
    return is_app(name) && name != "app" && !std::all_of(node.members.begin(), node.members.end(), undotted);
  }

  static Raw raw(const Node& node, const std::string& name) {
    if (node.form == Form::object && name == "workers" && !node.members.empty()) {
      std::string counts;
      for (const Member& member : node.members) counts += text(counts.empty() ? "" : ",", member.key, "=", member.value.text);
      return {Form::string, counts};
    }
    if (node.form == Form::list || node.form == Form::object) return {node.form, to_json(node)};
    return {node.form, node.text};
  }

  const std::string& file_;
  const Environment& environment_;
  Problems& problems_;
};

std::string extension_of(const std::string& file) {
  const std::size_t dot = file.rfind('.');
  return dot == std::string::npos || file.find('/', dot) != std::string::npos ? "" : file.substr(dot + 1);
}

}  // namespace

std::vector<Entry> read_document(const std::string& file, const Environment& environment, Problems& problems) {
  const std::string extension = extension_of(file);
  const bool json = extension == "json" || extension == "jsonc";
  if (!json && extension != "yaml" && extension != "yml") {
    problems.add("", text("file ", file, ": its name must end in .json, .jsonc, .yaml or .yml"));
    return {};
  }
  const auto content = read_file(file);
  if (!content) {
    problems.add("", text("file ", file, ": cannot be read (", content.problem, "); check the path given with --config"));
    return {};
  }
  std::optional<Node> root = json ? parse_json(content.value, file, problems) : parse_yaml(content.value, file, problems);
  if (!root) return {};
  if (root->form != Form::object) {
    problems.add("", text("file ", file, ": must hold an object of options, such as {\"http\": {\"listen\": \"127.0.0.1:8080\"}}"));
    return {};
  }
  Reader reader(file, environment, problems);
  std::vector<Entry> entries;
  reader.expand(*root, "");
  if (!root->members.empty()) reader.flatten(*root, "", entries);
  return entries;
}

}  // namespace sluice::config
