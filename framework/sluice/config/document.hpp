// A configuration file as a tree that remembers its lines, whichever language it was written in, and as dotted entries.
#pragma once

#include <sluice/config/loader.hpp>
#include <sluice/config/problems.hpp>
#include <sluice/config/value.hpp>

#include <optional>
#include <string>
#include <vector>

namespace sluice::config {

struct Member;

struct Node {
  Raw::Form form = Raw::Form::null;
  std::string text;             // of scalars; null has none
  int line = 0;                 // of the key, from 1
  std::vector<Member> members;  // of objects, in order
  std::vector<Node> items;      // of lists
};

struct Member {
  std::string key;
  Node value;
};

inline constexpr int deepest = 32;  // nesting that is accepted

// JSON with // and /* */ comments. Syntax errors and duplicate keys are added to `problems`, with their line; messages
// never quote the file's content, which may be secret. Nothing is
// returned where the syntax is wrong.
std::optional<Node> parse_json(const std::string& content, const std::string& file, Problems& problems);
std::optional<Node> parse_yaml(const std::string& content, const std::string& file, Problems& problems);
// Compact JSON, for the application's own options.
std::string to_json(const Node& node);

struct Entry {
  std::string name;  // dotted
  Raw raw;
  int line = 0;
};

// Reads the file (.json, .jsonc, .yaml, .yml), replaces ${…} and flattens it: one entry for each scalar and list, and for
// each empty object. Objects under `workers` become "web=4,jobs=2".
std::vector<Entry> read_document(const std::string& file, const Environment& environment, Problems& problems);

}  // namespace sluice::config
