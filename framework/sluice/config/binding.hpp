// bind<&Config::http, &Http::listen>: the Access of a field, from the path of members that leads to it. A map on the path
// (servers, pools) is entered by key. Field types decide how a value is carried; enumerations by their names below.
#pragma once

#include <sluice/config/table.hpp>

#include <array>
#include <type_traits>

namespace sluice::config::binding {

// Names in the order of the enumerators.
template <class E>
inline constexpr std::array<std::string_view, 0> names{};
template <>
inline constexpr std::array<std::string_view, 2> names<Mode>{"process", "thread"};
template <>
inline constexpr std::array<std::string_view, 2> names<Via>{"direct", "proxy"};
template <>
inline constexpr std::array<std::string_view, 2> names<Reuse>{"lifo", "fifo"};
template <>
inline constexpr std::array<std::string_view, 3> names<Preset>{"production", "development", "test"};
template <>
inline constexpr std::array<std::string_view, 3> names<ResetOnReturn>{"auto", "always", "never"};
template <>
inline constexpr std::array<std::string_view, 3> names<Pipeline>{"off", "reads", "all"};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
Value carry(const T& field) {
  if constexpr (is_optional<T>) {
    return field ? carry(*field) : Value(std::monostate{});
  } else if constexpr (std::is_enum_v<T>) {
    return std::string(names<T>[static_cast<std::size_t>(field)]);
  } else if constexpr (std::is_same_v<T, bool>) {
    return field;
  } else if constexpr (std::is_unsigned_v<T>) {
    return static_cast<std::uint64_t>(field);
  } else {
    return field;
  }
}

// REQUIRES: `value` was checked against the option (type, choices, range).
template <class T>
void store(T& field, const Value& value) {
  if constexpr (is_optional<T>) {
    field.reset();
    if (!std::holds_alternative<std::monostate>(value)) store(field.emplace(), value);
  } else if constexpr (std::is_enum_v<T>) {
    for (std::size_t i = 0; i < names<T>.size(); ++i) {
      if (names<T>[i] == std::get<std::string>(value)) field = static_cast<T>(i);
    }
  } else if constexpr (std::is_same_v<T, bool>) {
    field = std::get<bool>(value);
  } else if constexpr (std::is_unsigned_v<T>) {
    field = static_cast<T>(std::get<std::uint64_t>(value));
  } else {
    field = std::get<T>(value);
  }
}

template <class T>
T& enter(std::map<std::string, T>& entries, std::string_view key) {
  T& entry = entries[std::string(key)];
  entry.name = key;
  return entry;
}
template <class T>
const T& enter(const std::map<std::string, T>& entries, std::string_view key) {
  static const T defaults{};
  const auto found = entries.find(std::string(key));
  return found == entries.end() ? defaults : found->second;
}
template <class T>
T& enter(T& section, std::string_view) {
  return section;
}

template <auto... Members>
struct Walk;
template <auto Only>
struct Walk<Only> {
  template <class C>
  static auto& field(C& config, std::string_view) {
    return config.*Only;
  }
};
template <auto First, auto Second>
struct Walk<First, Second> {
  template <class C>
  static auto& field(C& config, std::string_view key) {
    return enter(config.*First, key).*Second;
  }
};

template <auto... Members>
inline constexpr Access bind{
    [](const Config& config, std::string_view key) { return carry(Walk<Members...>::field(config, key)); },
    [](Config& config, std::string_view key, const Value& value) { store(Walk<Members...>::field(config, key), value); },
};

}  // namespace sluice::config::binding
