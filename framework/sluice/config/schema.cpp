// --print-schema: the JSON Schema (2020-12) of configuration files.
#include <sluice/config/loader.hpp>
#include <sluice/config/table.hpp>
#include <sluice/core/text.hpp>

#include <nlohmann/json.hpp>
#include <ostream>

namespace sluice::config {
namespace {

using Json = nlohmann::ordered_json;

Json reference(const char* name) { return {{"$ref", text("#/$defs/", name)}}; }

Json number(const char* type, const Option& option) {
  Json schema{{"type", type}};
  const auto limit = [&](double value) { return option.type == Type::number ? Json(value) : Json(static_cast<std::uint64_t>(value)); };
  schema["minimum"] = limit(option.low);
  schema[option.below_high ? "exclusiveMaximum" : "maximum"] = limit(option.high);
  return schema;
}

// What the option's values look like, without variables and words for absence.
Json shape(const Option& option) {
  switch (option.type) {
    case Type::boolean: return {{"type", "boolean"}};
    case Type::integer: return number("integer", option);
    case Type::number: return number("number", option);
    case Type::duration: return reference("duration");
    case Type::bytes: return reference("size");
    case Type::workers: return reference("workers");
    case Type::choice: return {{"enum", Json(std::vector<std::string_view>(option.choices.begin(), option.choices.end()))}};
    case Type::text:
    case Type::address: return {{"type", "string"}};
    case Type::json: break;
  }
  return Json::object();
}

Json default_value(const Option& option) {
  const Value value = default_of(option);
  if (const auto* b = std::get_if<bool>(&value)) return *b;
  if (const auto* n = std::get_if<double>(&value)) return *n;
  if (const auto* n = std::get_if<std::uint64_t>(&value); n && option.type == Type::integer) return *n;
  return format_value(option, value);
}

Json property(const Option& option) {
  Json schema{{"description", text(option.doc, option.zero.empty() ? "" : text(" 0: ", option.zero, "."))}};
  const bool textual = option.type == Type::text || option.type == Type::address;
  if (textual) {
    schema.update(shape(option));
  } else {
    Json alternatives = Json::array({shape(option)});
    if (!option.absent.empty()) alternatives.push_back({{"enum", Json::array({std::string(option.absent), nullptr})}});
    alternatives.push_back(reference("variable"));
    schema["anyOf"] = std::move(alternatives);
  }
  if (option.type != Type::json) schema["default"] = default_value(option);
  if (option.secrecy != Secrecy::open) schema["writeOnly"] = true;
  return schema;
}

// The object schema of a section, made on the way: "pools.<name>.tls." leads through patternProperties.
Json& section_schema(Json& root, std::string_view prefix) {
  Json* at = &root;
  while (!prefix.empty()) {
    const std::string segment(prefix.substr(0, prefix.find('.')));
    prefix.remove_prefix(segment.size() + 1);
    Json& properties = segment.front() == '<' ? (*at)["patternProperties"] : (*at)["properties"];
    Json& child = properties[segment.front() == '<' ? "^[A-Za-z0-9_-]{1,63}$" : segment];
    if (child.is_null()) child = {{"type", "object"}, {"additionalProperties", false}};
    at = &child;
  }
  return *at;
}

void add_definitions(Json& root) {
  root["$defs"]["duration"] = {{"type", "string"}, {"pattern", "^[0-9]+(\\.[0-9]+)? ?(ns|us|ms|s|min|h|d)$"}};
  root["$defs"]["size"] = {
      {"anyOf", Json::array({{{"type", "integer"}, {"minimum", 0}}, {{"type", "string"}, {"pattern", "^[0-9]+ ?(B|KiB|MiB|GiB|TiB)?$"}}})}};
  root["$defs"]["variable"] = {{"type", "string"}, {"pattern", "\\$\\{[^}]+\\}"}};
  const Json count = {{"anyOf", Json::array({{{"type", "integer"}, {"minimum", -1}, {"maximum", 1024}}, {{"enum", Json::array({"auto", "all"})}}})}};
  root["$defs"]["workers"] = {{"anyOf", Json::array({{{"type", "integer"}, {"minimum", -1}, {"maximum", 1024}},
                                                     {{"type", "string"}},
                                                     {{"type", "object"}, {"additionalProperties", count}}})}};
}

// "admin": "off" and "log": "debug" stand for one option of the section.
void add_short_form(Json& root, const Option& option) {
  const std::string section(option.alias);
  Json& properties = root["properties"];
  Json object = std::move(properties[section]);
  properties[section] = {{"anyOf", Json::array({shape(option), reference("variable"), std::move(object)})}};
}

}  // namespace

void print_schema(std::ostream& out) {
  Json root{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
            {"title", "Sluice configuration"},
            {"type", "object"},
            {"additionalProperties", false}};
  for (const Option& option : options()) {
    const Section& section = section_of(option);
    Json& schema = section_schema(root, section.prefix);
    if (option.type == Type::json) {
      schema = {{"type", "object"}, {"description", std::string(section.doc)}};
      continue;
    }
    const std::string name(option.name.substr(section.prefix.size()));
    schema["properties"][name] = property(option);
    if (option.secrecy != Secrecy::open)
      schema["properties"][name + "_file"] = {{"type", "string"}, {"description", text("A file whose content is ", name, ".")}};
  }
  for (const Option& option : options()) {
    if (!option.alias.empty() && option.name.starts_with(text(option.alias, "."))) add_short_form(root, option);
  }
  add_definitions(root);
  out << root.dump(2) << '\n';
}

}  // namespace sluice::config
