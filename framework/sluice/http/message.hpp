// Requests and responses as handlers see them: plain values, no Beast in the interface.
#pragma once

#include <sluice/core/error.hpp>

#include <charconv>
#include <concepts>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::http {

// A handler may throw it: becomes a response with this status and {"error": {"field", "reason"}}.
class HttpError : public Error {
 public:
  HttpError(unsigned status, const std::string& reason, std::string field = {})
      : Error(reason), status_(status), field_(std::move(field)) {}
  unsigned status() const noexcept { return status_; }
  const std::string& field() const noexcept { return field_; }

 private:
  unsigned status_;
  std::string field_;
};

struct CaseInsensitiveLess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const noexcept;
};
using Headers = std::map<std::string, std::string, CaseInsensitiveLess>;

class Request {
 public:
  std::string method;
  std::string target;        // as sent
  std::string path_text;     // decoded path without query
  Headers headers;           // repeated fields are joined with ", "
  std::string body;
  std::string peer;          // "127.0.0.1:4711" or "unix"
  std::map<std::string, std::string, std::less<>> path_parameters;   // {id} of the route
  std::map<std::string, std::string, std::less<>> query_parameters;  // decoded; the last of equals wins

  // path<int>("id"): converts or throws HttpError(400) with the field's name and the reason.
  // T: integers, double, bool, std::string.
  template <class T>
  T path(std::string_view name) const { return convert<T>(name, find(path_parameters, name)); }
  // As path(); a missing parameter is an error, or `fallback`.
  template <class T>
  T query(std::string_view name) const { return convert<T>(name, find(query_parameters, name)); }
  template <class T>
  T query(std::string_view name, T fallback) const {
    const std::string* value = find(query_parameters, name);
    return value ? convert<T>(name, value) : fallback;
  }
  const std::string* header(std::string_view name) const noexcept;
  // The body as JSON, or HttpError(400) with the position of the mistake.
  nlohmann::json json() const;

 private:
  static const std::string* find(const std::map<std::string, std::string, std::less<>>& map, std::string_view name) {
    const auto it = map.find(name);
    return it == map.end() ? nullptr : &it->second;
  }
  template <class T>
  static T convert(std::string_view name, const std::string* value);
};

class Response {
 public:
  unsigned status = 200;
  Headers headers;
  std::string body;

  static Response json(nlohmann::json body, unsigned status = 200);
  static Response text(std::string body, unsigned status = 200);
  static Response html(std::string body, unsigned status = 200);
  static Response status_only(unsigned status);
  // {"error": {"reason": …, "field": …}}
  static Response error(unsigned status, std::string_view reason, std::string_view field = {});
};

// "Not Found" for 404, …
std::string_view reason_phrase(unsigned status) noexcept;

template <class T>
T Request::convert(std::string_view name, const std::string* value) {
  if (!value) throw HttpError(400, "is missing", std::string(name));
  if constexpr (std::same_as<T, std::string>) {
    return *value;
  } else if constexpr (std::same_as<T, bool>) {
    if (*value == "true" || *value == "1") return true;
    if (*value == "false" || *value == "0") return false;
    throw HttpError(400, "must be true or false", std::string(name));
  } else {
    T out{};
    const char* end = value->data() + value->size();
    const auto result = std::from_chars(value->data(), end, out);
    if (result.ec == std::errc::result_out_of_range) throw HttpError(400, "is out of range", std::string(name));
    if (result.ec != std::errc{} || result.ptr != end)
      throw HttpError(400, std::integral<T> ? "must be an integer" : "must be a number", std::string(name));
    return out;
  }
}

}  // namespace sluice::http
