// Fields of a JSON object, each checked for presence, type and range. A mistake is HttpError(400) with the field's name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace orders {

// Where the fields are: the body itself, or an object inside it (then fields are named "user.email").
struct Fields {
  const nlohmann::json& object;
  std::string prefix = {};

  std::string name(const char* field) const { return prefix + field; }
};

// 1 to `longest` characters, no control characters.
std::string required_text(const Fields& fields, const char* field, std::size_t longest);
std::int64_t required_integer(const Fields& fields, const char* field, std::int64_t lowest, std::int64_t highest);
std::int64_t optional_integer(const Fields& fields, const char* field, std::int64_t lowest, std::int64_t highest, std::int64_t otherwise);
// Something before and after one @, no spaces.
std::string required_email(const Fields& fields, const char* field);

}  // namespace orders
