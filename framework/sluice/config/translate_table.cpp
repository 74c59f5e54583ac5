#include <sluice/config/translate_table.hpp>

#include <sluice/core/text.hpp>

#include <algorithm>
#include <vector>

namespace sluice::config {
namespace {

const std::vector<Ecosystem>& table() {
  static const std::vector<Ecosystem> all = [] {
    std::vector<Ecosystem> out;
    for (const auto part : {python_ecosystems(), node_ecosystems(), other_ecosystems()}) out.insert(out.end(), part.begin(), part.end());
    return out;
  }();
  return all;
}

}  // namespace

std::span<const Ecosystem> ecosystems() { return table(); }

const Ecosystem* find_ecosystem(std::string_view name) {
  const std::string wanted = plain_name(name);
  for (const Ecosystem& ecosystem : table()) {
    if (plain_name(ecosystem.name) == wanted) return &ecosystem;
    for (const std::string_view alias : words_of(ecosystem.aliases)) {
      if (plain_name(alias) == wanted) return &ecosystem;
    }
  }
  return nullptr;
}

std::string ecosystem_suggestion(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Ecosystem& ecosystem : table()) {
    names.push_back(ecosystem.name);
    for (const std::string_view alias : words_of(ecosystem.aliases)) names.push_back(alias);
  }
  return std::string(closest(name, names.data(), names.data() + names.size()));
}

std::string plain_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c != '_' && c != '-') out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

std::string_view short_name(std::string_view ours) {
  constexpr std::string_view prefix = "pools.<name>.";
  return ours.starts_with(prefix) ? ours.substr(prefix.size()) : ours;
}

std::vector<std::string_view> words_of(std::string_view list) {
  std::vector<std::string_view> out;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(' '), list.size());
    if (end > 0) out.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

}  // namespace sluice::config
