#include <sluice/http/router.hpp>

#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/target.hpp>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/container/small_vector.hpp>
#include <set>
#include <vector>

namespace sluice::http {
namespace {

struct Route {
  Handler handler;
  std::vector<std::string> parameters;  // names, from left to right
};

template <class Text>
using Segments = boost::container::small_vector<Text, 8>;

Segments<std::string_view> split(std::string_view path) {
  Segments<std::string_view> segments;
  path.remove_prefix(1);  // the leading slash
  for (;;) {
    const auto slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

struct Router::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> parameter;
  std::map<std::string, Route, std::less<>> methods;
};

struct Router::Match {
  const Route* route = nullptr;
  std::vector<std::string> values;  // of the parameters
  std::set<std::string> allowed;    // methods that the path knows, if there is no route
};

namespace {

// Depth first, literals before parameters; ends at the first node that knows one of the wanted methods.
struct Search {
  const Segments<std::string>& segments;  // decoded
  std::string_view method;
  std::vector<std::string> values;
  std::set<std::string> allowed;

  template <class Node>
  const Route* find(const Node& node, std::size_t depth) {
    if (depth == segments.size()) return route_of(node);
    const std::string& segment = segments[depth];
    if (const auto it = node.literals.find(segment); it != node.literals.end()) {
      if (const Route* found = find(*it->second, depth + 1)) return found;
    }
    if (!node.parameter || segment.empty()) return nullptr;
    values.push_back(segment);
    if (const Route* found = find(*node.parameter, depth + 1)) return found;
    values.pop_back();
    return nullptr;
  }

  template <class Node>
  const Route* route_of(const Node& node) {
    auto it = node.methods.find(method);
    if (it == node.methods.end() && method == "HEAD") it = node.methods.find("GET");
    if (it != node.methods.end()) return &it->second;
    for (const auto& [name, unused] : node.methods) allowed.insert(name);
    return nullptr;
  }
};

}  // namespace

Router::Router() : root_(std::make_unique<Node>()) {}
Router::Router(Router&&) noexcept = default;
Router::~Router() = default;

void Router::add(std::string_view method, std::string_view pattern, Handler handler) {
  const auto malformed = [&](std::string_view why) { return Error(text("route ", method, " ", pattern, ": ", why)); };
  if (pattern.empty() || pattern.front() != '/') throw malformed("a pattern begins with /");
  Route route{std::move(handler), {}};
  Node* node = root_.get();
  for (const std::string_view segment : split(pattern)) {
    std::unique_ptr<Node>* next = nullptr;
    if (segment.starts_with('{') && segment.ends_with('}') && segment.size() > 2) {
      std::string name(segment.substr(1, segment.size() - 2));
      if (name.find_first_of("{}") != std::string::npos) throw malformed("a parameter is one whole segment, {name}");
      if (std::find(route.parameters.begin(), route.parameters.end(), name) != route.parameters.end()) throw malformed("two parameters have one name");
      route.parameters.push_back(std::move(name));
      next = &node->parameter;
    } else if (segment.find_first_of("{}") != std::string_view::npos) {
      throw malformed("a parameter is one whole segment, {name}");
    } else {
      next = &node->literals[std::string(segment)];
    }
    if (!*next) *next = std::make_unique<Node>();
    node = next->get();
  }
  if (!node->methods.emplace(std::string(method), std::move(route)).second) throw malformed("exists already");
}

void Router::on_error(ErrorMapping mapping) { on_error_ = std::move(mapping); }

Router::Match Router::match(const Request& request) const {
  const std::string_view path = raw_path(request.target);
  if (path.empty() || path.front() != '/') return {};
  Segments<std::string> segments;
  for (const std::string_view raw : split(path)) {
    auto segment = percent_decode(raw, false);  // after splitting: %2F is no separator
    if (!segment) throw HttpError(400, "the request target has a malformed percent escape");
    segments.push_back(std::move(*segment));
  }
  Search search{segments, request.method, {}, {}};
  Match match;
  match.route = search.find(*root_, 0);
  match.values = std::move(search.values);
  match.allowed = std::move(search.allowed);
  return match;
}

namespace {

awaitable<Response> given(Response response) { co_return response; }

}  // namespace

// No coroutine: its frame would hold the request once more, beside the handler's.
awaitable<Response> Router::handle(Request request) const {
  std::string what = text(request.method, " ", raw_path(request.target));  // no query: it may hold secrets
  try {
    awaitable<Response> answer = answer_of(std::move(request));
    return guarded(std::move(answer), std::move(what));
  } catch (...) {
    return given(error_response(std::current_exception(), what));
  }
}

awaitable<Response> Router::answer_of(Request request) const {
  Match found = match(request);
  if (found.route) {
    for (std::size_t i = 0; i < found.values.size(); ++i)
      request.path_parameters.insert_or_assign(found.route->parameters[i], std::move(found.values[i]));
    return found.route->handler(std::move(request));
  }
  if (found.allowed.empty()) return given(Response::error(404, "there is nothing at this address"));
  if (found.allowed.contains("GET")) found.allowed.insert("HEAD");
  Response response = Response::error(405, text("the method ", request.method, " is not allowed here"));
  std::string allow;
  for (const std::string& name : found.allowed) allow += allow.empty() ? name : ", " + name;
  response.headers.emplace("Allow", std::move(allow));
  return given(std::move(response));
}

awaitable<Response> Router::guarded(awaitable<Response> answer, std::string what) const {
  std::exception_ptr error;
  try {
    co_return co_await std::move(answer);
  } catch (...) {
    error = std::current_exception();
  }
  co_return error_response(error, what);
}

Response Router::error_response(const std::exception_ptr& error, const std::string& what) const {
  std::string cause = "an exception of unknown type";
  try {
    std::rethrow_exception(error);
  } catch (const HttpError& e) {
    return Response::error(e.status(), e.what(), e.field());
  } catch (const boost::system::system_error& e) {
    // The server gave the request up (its timeout, a drain past its deadline) and has answered by itself.
    if (e.code() == asio::error::operation_aborted) return Response::error(503, "the request was given up");
    cause = e.what();
  } catch (const std::exception& e) {
    cause = e.what();
  } catch (...) {  // the cause stays as it is
  }
  if (on_error_) {
    if (auto response = on_error_(error)) return std::move(*response);
  }
  log::error(text(what, ": ", cause));
  return Response::error(500, "internal error");
}

}  // namespace sluice::http
