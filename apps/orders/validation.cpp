#include "validation.hpp"

#include <sluice/core/text.hpp>
#include <sluice/workers/http.hpp>

#include <algorithm>

namespace orders {
namespace {

using sluice::HttpError;
using sluice::text;

const nlohmann::json& required(const Fields& fields, const char* field) {
  const auto it = fields.object.find(field);
  if (it == fields.object.end() || it->is_null()) throw HttpError(400, "is missing", fields.name(field));
  return *it;
}

// The JSON parser has made sure that it is valid UTF-8.
std::size_t characters(const std::string& utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string required_text(const Fields& fields, const char* field, std::size_t longest) {
  const nlohmann::json& value = required(fields, field);
  if (!value.is_string()) throw HttpError(400, "must be text", fields.name(field));
  std::string out = value.get<std::string>();
  if (out.empty()) throw HttpError(400, "must not be empty", fields.name(field));
  if (characters(out) > longest) throw HttpError(400, text("is longer than ", longest, " characters"), fields.name(field));
  if (std::any_of(out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }))
    throw HttpError(400, "must not contain control characters", fields.name(field));
  return out;
}

std::int64_t required_integer(const Fields& fields, const char* field, std::int64_t lowest, std::int64_t highest) {
  const nlohmann::json& value = required(fields, field);
  if (!value.is_number_integer()) throw HttpError(400, "must be an integer", fields.name(field));
  const bool fits = !value.is_number_unsigned() || value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX);
  const std::int64_t number = fits ? value.get<std::int64_t>() : INT64_MAX;
  if (!fits || number < lowest || number > highest) throw HttpError(400, text("must be between ", lowest, " and ", highest), fields.name(field));
  return number;
}

std::int64_t optional_integer(const Fields& fields, const char* field, std::int64_t lowest, std::int64_t highest, std::int64_t otherwise) {
  return fields.object.contains(field) ? required_integer(fields, field, lowest, highest) : otherwise;
}

std::string required_email(const Fields& fields, const char* field) {
  std::string email = required_text(fields, field, 254);
  const auto at = email.find('@');
  if (at == 0 || at == std::string::npos || at + 1 == email.size() || email.find('@', at + 1) != std::string::npos || email.find(' ') != std::string::npos)
    throw HttpError(400, "must be an e-mail address", fields.name(field));
  return email;
}

}  // namespace orders
