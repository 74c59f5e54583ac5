#include <sluice/http/message.hpp>

#include <sluice/core/text.hpp>

#include <algorithm>

namespace sluice::http {
namespace {

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

Response with_type(std::string body, unsigned status, const char* type) {
  Response response;
  response.status = status;
  response.headers.emplace("Content-Type", type);
  response.body = std::move(body);
  return response;
}

}  // namespace

bool CaseInsensitiveLess::operator()(std::string_view a, std::string_view b) const noexcept {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) < lower(y); });
}

const std::string* Request::header(std::string_view name) const noexcept {
  const auto it = headers.find(name);
  return it == headers.end() ? nullptr : &it->second;
}

nlohmann::json Request::json() const {
  if (body.empty()) throw HttpError(400, "is empty; JSON is expected", "body");
  try {
    return nlohmann::json::parse(body);
  } catch (const nlohmann::json::parse_error& e) {
    throw HttpError(400, text("is not valid JSON: mistake at byte ", e.byte, " of ", body.size()), "body");
  } catch (const nlohmann::json::exception&) {  // a number beyond every range
    throw HttpError(400, "is not valid JSON: a number is out of range", "body");
  }
}

Response Response::json(nlohmann::json body, unsigned status) {
  // A handler's text may hold broken UTF-8 (from a database, say): replaced rather than answered with 500.
  return with_type(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), status, "application/json");
}

Response Response::text(std::string body, unsigned status) { return with_type(std::move(body), status, "text/plain; charset=utf-8"); }

Response Response::html(std::string body, unsigned status) { return with_type(std::move(body), status, "text/html; charset=utf-8"); }

Response Response::status_only(unsigned status) {
  Response response;
  response.status = status;
  return response;
}

Response Response::error(unsigned status, std::string_view reason, std::string_view field) {
  nlohmann::json error = {{"reason", reason}};
  if (!field.empty()) error["field"] = field;
  nlohmann::json body;
  body["error"] = std::move(error);
  return json(std::move(body), status);
}

std::string_view reason_phrase(unsigned status) noexcept {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
}

}  // namespace sluice::http
