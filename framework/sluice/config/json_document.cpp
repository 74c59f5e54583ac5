#include <sluice/config/document.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

namespace sluice::config {
namespace {

using nlohmann::json;
using Form = Raw::Form;

// Counts lines as the lexer takes characters, so that a key's event knows its line.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  int* line;

  reference operator*() const { return *at; }
  CountingIterator& operator++() {
    if (*at == '\n') ++*line;
    ++at;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator!=(const CountingIterator& a, const CountingIterator& b) { return a.at != b.at; }
};

// The events of nlohmann's parser, made into nodes. open_ holds the objects and lists around the current place; they stay
// where they are, because only the innermost grows.
class Builder {
 public:
  Builder(const std::string& content, const std::string& file, const int& line, Problems& problems)
      : content_(content), file_(file), line_(line), problems_(problems) {}

  Node take() { return std::move(root_); }

  bool null() { return scalar(Form::null, ""); }
  bool boolean(bool value) { return scalar(Form::boolean, text(value)); }
  bool number_integer(json::number_integer_t value) { return scalar(Form::number, text(value)); }
  bool number_unsigned(json::number_unsigned_t value) { return scalar(Form::number, text(value)); }
  bool number_float(json::number_float_t, const std::string& written) { return scalar(Form::number, written); }
  bool string(std::string& value) { return scalar(Form::string, std::move(value)); }
  bool binary(json::binary_t&) { return false; }  // not in JSON text
  bool start_object(std::size_t) { return open(Form::object); }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(Form::list); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    Node& object = *open_.back();
    for (const Member& member : object.members) {
      if (member.key == name) problems_.add("", text("file ", file_, ":", line_, ": the key \"", name, "\" stands here a second time; keep one"));
    }
    object.members.push_back({name, Node{}});
    object.members.back().value.line = line_;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) {
    // The exception quotes what was read last, which may be a secret: only what was expected is taken over.
    const std::string what = error.what();
    const std::size_t expected = what.rfind("; expected ");
    const std::size_t end = std::min(position == 0 ? 0 : position - 1, content_.size());
    const auto line = 1 + std::count(content_.begin(), content_.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    const std::size_t start = end == 0 ? std::string::npos : content_.rfind('\n', end - 1);
    const std::size_t column = start == std::string::npos ? end + 1 : end - start;
    problems_.add("", text("file ", file_, ":", line, ": not valid JSON at column ", column,
                           expected == std::string::npos ? "" : text(" (expected ", what.substr(expected + 11), ")")));
    return false;
  }

 private:
  Node& place() {
    if (open_.empty()) return root_;
    Node& parent = *open_.back();
    if (parent.form == Form::object) return parent.members.back().value;
    parent.items.emplace_back().line = parent.line;
    return parent.items.back();
  }
  bool scalar(Form form, std::string value) {
    Node& node = place();
    node.form = form;
    node.text = std::move(value);
    return true;
  }
  bool open(Form form) {
    if (open_.size() >= deepest) {
      problems_.add("", text("file ", file_, ":", line_, ": nested deeper than ", deepest, " levels"));
      return false;
    }
    Node& node = place();
    node.form = form;
    open_.push_back(&node);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const std::string& content_;
  const std::string& file_;
  const int& line_;
  Problems& problems_;
  Node root_;
  std::vector<Node*> open_;
};

json to_value(const Node& node) {
  switch (node.form) {
    case Form::null: return nullptr;
    case Form::boolean: return node.text == "true";
    case Form::number: {
      json number = json::parse(node.text, nullptr, false);
      return number.is_discarded() ? json(node.text) : number;  // YAML knows forms of numbers that JSON does not
    }
    case Form::list: {
      json list = json::array();
      for (const Node& item : node.items) list.push_back(to_value(item));
      return list;
    }
    case Form::object: {
      json object = json::object();
      for (const Member& member : node.members) object[member.key] = to_value(member.value);
      return object;
    }
    case Form::string:
    case Form::words: break;
  }
  return node.text;
}

}  // namespace

std::optional<Node> parse_json(const std::string& content, const std::string& file, Problems& problems) {
  int line = 1;
  Builder builder(content, file, line, problems);
  const char* begin = content.data();
  const bool good = json::sax_parse(CountingIterator{begin, &line}, CountingIterator{begin + content.size(), &line}, &builder,
                                    json::input_format_t::json, true, true);
  if (!good) return std::nullopt;
  return builder.take();
}

std::string to_json(const Node& node) { return to_value(node).dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace sluice::config
