// Finding options by name: exact, as a flag, as a variable, or nearly.
#include <sluice/config/table.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <stdexcept>

namespace sluice::config {
namespace {

char folded(char c, Spelling spelling) {
  if (spelling == Spelling::exact) return c;
  return c == '-' ? '_' : c;  // variables arrive in lower case
}

bool same_word(std::string_view pattern, std::string_view word, Spelling spelling) {
  return std::equal(pattern.begin(), pattern.end(), word.begin(), word.end(), [&](char p, char w) { return p == folded(w, spelling); });
}

std::string_view take_segment(std::string_view& rest) {
  const std::size_t dot = rest.find('.');
  const std::string_view segment = rest.substr(0, dot);
  rest = dot == rest.npos ? std::string_view{} : rest.substr(dot + 1);
  return segment;
}

// The key for the pattern's placeholder ("" if it has none), or nothing if the name is another one.
std::optional<std::string_view> match(std::string_view pattern, std::string_view name, Spelling spelling) {
  std::string_view key;
  while (!pattern.empty()) {
    if (name.empty()) return std::nullopt;
    const std::string_view expected = take_segment(pattern);
    if (expected.front() == '<' && pattern.empty()) return name;  // app.<option>: all that follows
    const std::string_view segment = take_segment(name);
    if (expected.front() == '<') {
      if (!is_key(segment)) return std::nullopt;
      key = segment;
    } else if (!same_word(expected, segment, spelling)) {
      return std::nullopt;
    }
  }
  if (!name.empty()) return std::nullopt;
  return key;
}

// A file may say "admin": "off", which is an alias that is also the section's name; other aliases are for flags and variables.
bool alias_counts(const Option& option, Spelling spelling) {
  return !option.alias.empty() && (spelling != Spelling::exact || option.name.starts_with(text(option.alias, ".")));
}

std::optional<Match> find_plain(std::string_view name, Spelling spelling) {
  for (const Option& option : options()) {
    if (const auto key = match(option.name, name, spelling)) return Match{&option, std::string(*key), false};
    if (alias_counts(option, spelling) && same_word(option.alias, name, spelling)) return Match{&option, {}, false};
  }
  return std::nullopt;
}

std::string_view parent_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == name.npos ? std::string_view{} : name.substr(0, dot);
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  for (const std::string& candidate : candidates) {
    if (word.size() > 2 && is_slip(word, candidate)) return candidate;  // closest() counts swapped letters as two edits
  }
  std::vector<std::string_view> views(candidates.begin(), candidates.end());
  return std::string(closest(word, views.data(), views.data() + views.size()));
}

}  // namespace

std::string Match::name() const { return filled(option->name, key); }

bool is_key(std::string_view key) {
  const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  return !key.empty() && key.size() <= 63 && std::all_of(key.begin(), key.end(), good);
}

bool is_slip(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > 1 || a.empty()) return false;
  const auto first = static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin()).first - a.begin());
  const std::string_view rest_a = a.substr(first), rest_b = b.substr(first);
  if (a.size() < b.size()) return rest_a == rest_b.substr(1);
  if (rest_a.size() >= 2 && rest_a[0] == rest_b[1] && rest_a[1] == rest_b[0] && rest_a.substr(2) == rest_b.substr(2)) return true;
  return rest_a.empty() || rest_a.substr(1) == rest_b.substr(1);
}

std::optional<Match> find_option(std::string_view name, Spelling spelling) {
  if (auto found = find_plain(name, spelling)) return found;
  constexpr std::string_view suffix = "_file";
  if (name.size() <= suffix.size() || !same_word(suffix, name.substr(name.size() - suffix.size()), spelling)) return std::nullopt;
  auto found = find_plain(name.substr(0, name.size() - suffix.size()), spelling);
  if (!found || found->option->secrecy == Secrecy::open) return std::nullopt;
  found->from_file = true;
  return found;
}

bool is_section(std::string_view name) {
  if (name.empty()) return true;
  for (const Option& option : options()) {
    for (std::string_view parent = parent_of(option.name); !parent.empty(); parent = parent_of(parent)) {
      // One more segment on both, so that a placeholder at the end stands for one segment only.
      if (match(text(parent, ".x"), text(name, ".x"), Spelling::exact)) return true;
    }
  }
  return false;
}

const Option& option_named(std::string_view name) {
  for (const Option& option : options()) {
    if (option.name == name) return option;
  }
  throw std::logic_error(text("no option is called ", name));
}

const Section& section_of(const Option& option) {
  const Section* best = &sections().front();
  for (const Section& section : sections()) {
    if (option.name.starts_with(section.prefix) && section.prefix.size() > best->prefix.size()) best = &section;
  }
  return *best;
}

std::string filled(std::string_view name, std::string_view key) {
  const std::size_t open = name.find('<');
  if (open == name.npos) return std::string(name);
  return text(name.substr(0, open), key, name.substr(name.find('>') + 1));
}

std::vector<std::string> keys_of(const Option& option, const Config& config) {
  std::vector<std::string> keys;
  if (option.name.starts_with("pools.")) {
    for (const auto& [key, pool] : config.pools) keys.push_back(key);
  } else if (option.name.starts_with("servers.")) {
    for (const auto& [key, server] : config.servers) keys.push_back(key);
  } else if (option.type != Type::json) {
    keys.emplace_back();
  }
  return keys;
}

Value default_of(const Option& option) { return option.access.get(Config{}, {}); }

std::string_view preset_value(const Option& option, Preset preset) {
  if (preset == Preset::development) return option.development;
  if (preset == Preset::test) return option.test;
  return {};
}

std::string suggestion(std::string_view name) {
  std::string_view rest = name;
  take_segment(rest);
  const std::string_view key = take_segment(rest);
  const bool keyed = is_key(key);
  const std::string_view parent = parent_of(name);
  std::vector<std::string> siblings;  // their last segments
  std::vector<std::string> all;
  for (const Option& option : options()) {
    if (option.type == Type::json || (option.name.find('<') != std::string_view::npos && !keyed)) continue;
    const std::string full = filled(option.name, key);
    if (!parent.empty() && parent_of(full) == parent) siblings.push_back(full.substr(parent.size() + 1));
    all.push_back(full);
    if (!option.alias.empty()) all.emplace_back(option.alias);
  }
  // Where the section is right, only its own options count: with a long common prefix everything would be near.
  if (siblings.empty()) return nearest(name, all);
  const std::string sibling = nearest(name.substr(parent.size() + 1), siblings);
  return sibling.empty() ? sibling : text(parent, ".", sibling);
}

}  // namespace sluice::config
