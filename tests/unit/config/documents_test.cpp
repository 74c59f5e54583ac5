// What is generated from the table, and the files in configs/.
#include "fixture.hpp"

#include <sluice/config/table.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

using namespace config_test;
using nlohmann::json;

namespace {

template <class Print>
std::string printed(Print print) {
  std::ostringstream out;
  print(out);
  return out.str();
}

// The only values of configs/reference.json that are no defaults: a pool cannot be without them.
std::string reference_value(const Option& option) {
  if (option.name == "pools.<name>.url") return "\"sqlite:reference.db\"";
  const Value value = default_of(option);
  const std::string text = format_value(option, value);
  const bool bare = std::holds_alternative<bool>(value) || std::holds_alternative<double>(value) ||
                    (std::holds_alternative<std::uint64_t>(value) && option.type == Type::integer);
  return bare ? text : json(text).dump();
}

std::string comment(const Option& option) {
  std::string out(option.doc);
  if (!option.zero.empty()) out += " 0: " + std::string(option.zero) + ".";
  if (option.type != Type::text && option.type != Type::boolean) out += " Value: " + expectation(option) + ".";
  return out;
}

// The whole of configs/reference.json: nested objects by the dots of the names, in the order of the table.
std::string reference_file() {
  std::string out =
      "// Every option with its default. Written from the option table by the test \"configs/reference.json …\"; see docs/reference.md.\n{";
  std::vector<std::string> open;  // the sections around the current place
  bool first = true;
  const auto indent = [&] { return "\n" + std::string(2 * (open.size() + 1), ' '); };
  const auto close_to = [&](std::size_t depth) {
    while (open.size() > depth) {
      open.pop_back();
      out += indent() + "}";
      first = false;
    }
  };
  for (const Option& option : options()) {
    std::vector<std::string> path;
    std::stringstream segments(option.type == Type::json ? "app" : filled(option.name, "main"));
    for (std::string segment; std::getline(segments, segment, '.');) path.push_back(segment);
    std::size_t common = 0;
    while (common < open.size() && common + 1 < path.size() && open[common] == path[common]) ++common;
    close_to(common);
    while (open.size() + 1 < path.size()) {
      out += (first ? "" : ",") + indent() + json(path[open.size()]).dump() + ": {";
      open.push_back(path[open.size()]);
      first = true;
    }
    out += std::string(first ? "" : ",") + indent() + "// " + comment(option) + indent() + json(path.back()).dump() + ": " +
           (option.type == Type::json ? "{}" : reference_value(option));
    first = false;
  }
  close_to(0);
  return out + "\n}\n";
}

}  // namespace

TEST_CASE("configs/reference.json holds every option with its default and sentence, and nothing else (SLUICE_UPDATE=1 rewrites it)") {
  const std::string path = "configs/reference.json";
  if (std::getenv("SLUICE_UPDATE")) std::ofstream(std::string(SLUICE_SOURCE_DIR) + "/" + path, std::ios::binary) << reference_file();
  const bool same = read_source(path) == reference_file();
  CHECK_MESSAGE(same, "configs/reference.json differs from the option table; run this test once with SLUICE_UPDATE=1");
}

TEST_CASE("the reference file loads without a warning, sets every option, and means the defaults") {
  const Loaded written = load_flags({"--config", std::string(SLUICE_SOURCE_DIR) + "/configs/reference.json"});
  CHECK(written.warnings.empty());
  const Loaded plain = load_flags({"--pools.main.url", "sqlite:reference.db"});
  for (const Option& option : options()) {
    if (option.type == Type::json) continue;
    const std::string name = filled(option.name, "main");
    CAPTURE(name);
    const bool left_open = reference_value(option) == "\"\"" || reference_value(option) == "\"auto\"";  // completion fills these in
    CHECK((written.origin.at(name).starts_with("file ") || (left_open && written.origin.at(name).starts_with("default"))));
    CHECK(format_value(option, option.access.get(written.config, "main")) == format_value(option, option.access.get(plain.config, "main")));
  }
}

TEST_CASE("every file in configs/ loads without a warning") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(SLUICE_SOURCE_DIR) + "/configs")) {
    CAPTURE(entry.path().string());
    const Loaded loaded = load_flags({"--config", entry.path().string()});
    CHECK(loaded.warnings.empty());
    CHECK(loaded.config.pools.contains("main"));
    ++files;
  }
  CHECK(files >= 4);
}

TEST_CASE("the schema describes every option where files have it") {
  const json schema = json::parse(printed(print_schema));
  CHECK(schema.at("$schema") == "https://json-schema.org/draft/2020-12/schema");
  for (const Option& option : options()) {
    if (option.type == Type::json) continue;
    CAPTURE(option.name);
    const json* at = &schema;
    std::stringstream segments{std::string(option.name)};
    for (std::string segment; std::getline(segments, segment, '.');) {
      if (at->contains("anyOf")) at = &at->at("anyOf").back();  // admin and log also have a short form
      at = segment == "<name>" ? &at->at("patternProperties").begin().value() : &at->at("properties").at(segment);
    }
    CHECK(contains(at->at("description").get<std::string>(), option.doc));
    CHECK(at->contains("default"));
    CHECK(at->contains("writeOnly") == (option.secrecy != Secrecy::open));
  }
}

TEST_CASE("help begins with the usage, names every option, and is at most 100 columns wide") {
  const std::string help = printed([](std::ostream& out) { print_help(out, orders()); });
  CHECK(help.starts_with("Takes orders.\n\nUsage: orders [OPTIONS]\n"));
  CHECK(contains(help, "ctl COMMAND"));
  CHECK(contains(help, "-w, --workers"));
  CHECK(contains(help, "APP_POOLS__MAIN__MAX=8"));
  for (const Option& option : options()) {
    CAPTURE(option.name);
    CHECK(contains(help, "--" + std::string(option.name)));
  }
  for (const char* flag : {"--config", "--check-config", "--print-config", "--print-schema", "--print-reference", "--version", "--help"})
    CHECK(contains(help, flag));
  std::stringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    const auto columns = std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
    CHECK(columns <= 100);
    CHECK_FALSE(line.ends_with(' '));
  }
}

TEST_CASE("the reference page has a row of four cells for every option, below its section") {
  const std::string page = printed(print_reference);
  for (const Section& section : sections()) CHECK(contains(page, "\n## " + std::string(section.title) + "\n"));
  for (const Option& option : options()) {
    CAPTURE(option.name);
    const std::size_t row = page.find("\n| `" + std::string(option.name) + "`");
    REQUIRE(row != std::string::npos);
    const std::string line = page.substr(row + 1, page.find('\n', row + 1) - row - 1);
    int bars = 0;
    for (std::size_t i = 0; i < line.size(); ++i) bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    CHECK(bars == 5);
  }
}
