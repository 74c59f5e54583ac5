#include <sluice/config/document.hpp>
#include <sluice/core/text.hpp>

#include <yaml-cpp/yaml.h>
#include <algorithm>
#include <charconv>

namespace sluice::config {
namespace {

using Form = Raw::Form;

// Anchors may multiply a small file into a huge tree.
constexpr std::size_t most_nodes = 20000;

bool is_number(const std::string& s) {
  if (s.empty() || !((s[0] >= '0' && s[0] <= '9') || (s[0] == '-' && s.size() > 1 && s[1] >= '0' && s[1] <= '9'))) return false;
  double number = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), number);
  return error == std::errc{} && end == s.data() + s.size();
}

class Converter {
 public:
  Converter(const std::string& file, Problems& problems) : file_(file), problems_(problems) {}

  Node convert(const YAML::Node& source, int line, int depth) {
    Node node;
    node.line = line;
    if (++nodes_ > most_nodes || depth > deepest) {
      problems_.add(text("file ", file_), text("file ", file_, ":", line, ": too large or nested deeper than ", deepest, " levels"));
      return node;
    }
    if (source.IsScalar()) {
      set_scalar(node, source);
    } else if (source.IsSequence()) {
      node.form = Form::list;
      for (const YAML::Node& item : source) node.items.push_back(convert(item, item.Mark().line + 1, depth + 1));
    } else if (source.IsMap()) {
      node.form = Form::object;
      for (const auto& pair : source) add_member(node, pair.first, pair.second, depth);
      for (const auto& pair : source) {
        if (is_merge(pair.first)) merge(node, pair.second, depth);
      }
    }
    return node;
  }

 private:
  // By YAML 1.2's core schema: `off` and `yes` are texts, so that `admin: off` means what it says.
  static void set_scalar(Node& node, const YAML::Node& source) {
    node.text = source.Scalar();
    const bool plain = source.Tag() == "?";
    if (plain && (node.text == "true" || node.text == "false")) {
      node.form = Form::boolean;
    } else if (plain && is_number(node.text)) {
      node.form = Form::number;
    } else {
      node.form = Form::string;
    }
  }

  void add_member(Node& object, const YAML::Node& key, const YAML::Node& value, int depth) {
    const int line = key.Mark().line + 1;
    if (!key.IsScalar()) {
      problems_.add("", text("file ", file_, ":", line, ": a key must be plain text"));
      return;
    }
    if (is_merge(key)) return;
    const std::string name = key.Scalar();
    if (find(object, name)) problems_.add("", text("file ", file_, ":", line, ": the key \"", name, "\" stands here a second time; keep one"));
    object.members.push_back({name, convert(value, line, depth + 1)});
  }

  static bool is_merge(const YAML::Node& key) { return key.IsScalar() && key.Scalar() == "<<"; }
  static bool find(const Node& object, const std::string& name) {
    return std::any_of(object.members.begin(), object.members.end(), [&](const Member& member) { return member.key == name; });
  }

  // `<<: *defaults`: the anchor's keys, as far as the map has none of its own.
  void merge(Node& object, const YAML::Node& value, int depth) {
    Node merged = convert(value, value.Mark().line + 1, depth + 1);
    for (Member& member : merged.members) {
      if (!find(object, member.key)) object.members.push_back(std::move(member));
    }
  }

  const std::string& file_;
  Problems& problems_;
  std::size_t nodes_ = 0;
};

}  // namespace

std::optional<Node> parse_yaml(const std::string& content, const std::string& file, Problems& problems) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(content);
    if (documents.size() > 1) problems.add("", text("file ", file, ": holds several YAML documents; keep one"));
    if (documents.empty() || documents.front().IsNull()) {
      Node empty;
      empty.form = Form::object;
      return empty;
    }
    return Converter(file, problems).convert(documents.front(), 1, 0);
  } catch (const YAML::Exception& error) {
    problems.add("", text("file ", file, ":", error.mark.line + 1, ": not valid YAML at column ", error.mark.column + 1, " (", error.msg, ")"));
    return std::nullopt;
  }
}

}  // namespace sluice::config
