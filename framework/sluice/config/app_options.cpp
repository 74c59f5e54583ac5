// The application's own options: a JSON object of any shape, put together from dotted names.
#include <sluice/config/apply.hpp>
#include <sluice/config/redact.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sluice::config {
namespace {

using nlohmann::json;

json to_json_value(const Raw& raw) {
  if (raw.form == Raw::Form::string) return raw.text;
  if (raw.form == Raw::Form::null) return nullptr;
  json value = json::parse(raw.text, nullptr, false);
  return value.is_discarded() ? json(raw.text) : value;  // words: `--app.title Hello` is text, `--app.size 3` a number
}

// The place of a dotted name; what stands in the way is replaced by objects.
json& place(json& root, const std::string& path) {
  json* at = &root;
  std::size_t begin = 0;
  while (true) {
    const std::size_t dot = path.find('.', begin);
    if (!at->is_object()) *at = json::object();
    at = &(*at)[path.substr(begin, dot - begin)];
    if (dot == std::string::npos) return *at;
    begin = dot + 1;
  }
}

void collect(const json& value, const std::string& name, std::vector<std::pair<std::string, std::string>>& out) {
  const bool whole = !value.is_object() || value.empty() || std::any_of(value.items().begin(), value.items().end(), [](const auto& item) {
    return item.key().empty() || item.key().find('.') != std::string::npos;
  });
  if (whole) {
    out.emplace_back(name, value.dump(-1, ' ', false, json::error_handler_t::replace));
    return;
  }
  for (const auto& [key, member] : value.items()) collect(member, text(name, ".", key), out);
}

void hide_secrets(json& value) {
  if (value.is_string()) value = redact_url(value.get_ref<const std::string&>());
  if (value.is_array()) std::for_each(value.begin(), value.end(), hide_secrets);
  if (!value.is_object()) return;
  for (auto& [key, member] : value.items()) {
    if (sounds_secret(key) && !member.is_null()) {
      member = "***";
    } else {
      hide_secrets(member);
    }
  }
}

}  // namespace

void apply_app(const std::vector<Assignment>& assignments, Loaded& loaded) {
  json root = json::object();
  for (auto assignment = assignments.rbegin(); assignment != assignments.rend(); ++assignment) {
    if (assignment->match.option->type != Type::json) continue;
    const std::string name = assignment->match.name();
    place(root, assignment->match.key) = to_json_value(assignment->raw);
    // Origins of what was replaced: everything below, and values that became objects above.
    std::erase_if(loaded.origin, [&](const auto& entry) {
      return entry.first.starts_with(name + ".") || (entry.first.starts_with("app.") && name.starts_with(entry.first + "."));
    });
    loaded.origin[name] = assignment->origin;
  }
  loaded.config.app_json = root.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<std::pair<std::string, std::string>> shown_app_options(const std::string& app_json) {
  std::vector<std::pair<std::string, std::string>> leaves;
  json root = json::parse(app_json, nullptr, false);
  if (!root.is_object() || root.empty()) return leaves;
  hide_secrets(root);
  collect(root, "app", leaves);
  return leaves;
}

}  // namespace sluice::config
