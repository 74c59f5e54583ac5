// Literals of programs: pairs, groups, and the few expressions that configurations are written with.
#include <sluice/config/translate_source.hpp>
#include <sluice/config/translate_tokens.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace sluice::config {
namespace {

using Form = Raw::Form;
using Kind = Token::Kind;

std::string_view last_segment(std::string_view dotted) { return dotted.substr(dotted.rfind('.') + 1); }

// The units that programs multiply with, in the unit that Go's and Java's constants have for our purpose: seconds.
struct Factor {
  std::string_view name;
  std::string_view unit;
};
constexpr Factor factors[] = {{"time.Nanosecond", "ns"}, {"time.Microsecond", "us"}, {"time.Millisecond", "ms"}, {"time.Second", "s"},
                              {"time.Minute", "min"},    {"time.Hour", "h"},         {"TimeUnit.SECONDS.toMillis", "000"},
                              {"TimeUnit.MINUTES.toMillis", "60000"}};

struct Range {
  std::size_t begin, end;
  bool empty() const { return begin == end; }
  std::size_t size() const { return end - begin; }
};

class Literals {
 public:
  Literals(const std::vector<Token>& tokens, std::span<const std::string_view> openers) : t_(tokens), openers_(openers) {}

  Node run() {
    Node root;
    root.form = Form::object;
    root.line = 1;
    for (std::size_t i = 0; i + 1 < t_.size(); ++i) open(i, root);
    if (root.members.empty()) pairs({0, t_.size() - 1}, true, root);
    return root;
  }

 private:
  bool is_opener(const Token& token) const {
    if (token.kind != Kind::word && token.kind != Kind::string) return false;
    return std::find(openers_.begin(), openers_.end(), last_segment(token.text)) != openers_.end();
  }

  // `create_engine(…)`, `options = {…}`, `'connections' => […]`: an assignment keeps its name in the path.
  void open(std::size_t& i, Node& root) {
    if (!is_opener(t_[i])) return;
    if (t_[i].kind == Kind::word && t_[i + 1].is("(")) {
      const std::size_t close = closing(i + 1);
      pairs({i + 2, close}, false, root);
      i = close;
    } else if (assigns(t_[i + 1])) {
      const std::size_t end = value_end(i + 2, true);
      Node value = evaluate({i + 2, end});
      if (value.form == Form::object) root.members.push_back({std::string(last_segment(t_[i].text)), std::move(value)});
      i = end - 1;
    }
  }

  static bool assigns(const Token& token) { return token.is("=") || token.is(":") || token.is("=>") || token.is(":="); }
  static bool opens(const Token& token) { return token.is("(") || token.is("[") || token.is("{"); }
  static bool closes(const Token& token) { return token.is(")") || token.is("]") || token.is("}"); }

  // The token that closes the group opened at `i`; brackets were checked to match.
  std::size_t closing(std::size_t i) const {
    std::size_t depth = 0;
    for (; i + 1 < t_.size(); ++i) {
      if (opens(t_[i])) ++depth;
      if (closes(t_[i]) && --depth == 0) break;
    }
    return i;
  }

  // A value ends at a comma, a semicolon or the group's end; in statements also with its line.
  std::size_t value_end(std::size_t i, bool statements) const {
    const std::size_t begin = i;
    while (i + 1 < t_.size() && !t_[i].is(",") && !t_[i].is(";") && !closes(t_[i])) {
      if (statements && i > begin && t_[i].starts_line) break;
      i = opens(t_[i]) ? closing(i) + 1 : i + 1;
    }
    return std::min(i, t_.size() - 1);
  }

  void pairs(Range range, bool statements, Node& out) {
    unsigned position = 0;
    for (std::size_t i = range.begin; i < range.end;) {
      const Token& token = t_[i];
      const bool name = token.kind == Kind::word || token.kind == Kind::string || token.kind == Kind::number;
      if (name && i + 1 < range.end && assigns(t_[i + 1])) {
        const std::size_t end = std::min(value_end(i + 2, statements), range.end);
        add(out, token.text, token.line, evaluate({i + 2, end}));
        i = end;
      } else if (const std::string setter = setter_name(i); !setter.empty()) {
        const std::size_t close = closing(i + 1);
        add(out, setter, token.line, evaluate({i + 2, close}));
        i = close + 1;
      } else if (statements) {
        if (token.is_string() && token.text.find("://") != std::string::npos) add(out, "url", token.line, evaluate({i, i + 1}));
        ++i;  // what stands inside of brackets is looked at too
      } else if (token.is(",") || token.is(";")) {
        ++i;
      } else {
        const std::size_t end = std::max(std::min(value_end(i, false), range.end), i + 1);
        positional(evaluate({i, end}), token, position, out);
        ++position;
        i = end;
      }
    }
  }

  void positional(Node value, const Token& token, unsigned position, Node& out) {
    if (value.form == Form::object) {
      for (Member& member : value.members) out.members.push_back(std::move(member));
    } else if (value.form == Form::string && value.text.find("://") != std::string::npos) {
      add(out, "url", token.line, std::move(value));
    } else if (value.form != Form::words) {
      add(out, text("#", position), token.line, std::move(value));
    }
  }

  static void add(Node& out, std::string key, int line, Node value) {
    value.line = line;
    out.members.push_back({std::move(key), std::move(value)});
  }

  // maximumPoolSize of setMaximumPoolSize(…); "" if it is none.
  std::string setter_name(std::size_t i) const {
    if (t_[i].kind != Kind::word || i + 1 >= t_.size() || !t_[i + 1].is("(")) return {};
    const std::string_view call = last_segment(t_[i].text);
    if (call.size() < 4 || !call.starts_with("set") || call[3] < 'A' || call[3] > 'Z') return {};
    std::string name(call.substr(3));
    name[0] = static_cast<char>(name[0] - 'A' + 'a');
    return name;
  }

  // ---- values

  static Node scalar(Form form, std::string value) {
    Node node;
    node.form = form;
    node.text = std::move(value);
    return node;
  }

  Node unknown(Range range) const {
    std::string written;
    for (std::size_t i = range.begin; i < range.end; ++i) written += text(written.empty() ? "" : " ", t_[i].text);
    return scalar(Form::words, written);
  }

  Node evaluate(Range range) {
    Node node = value_of(range);
    node.line = t_[range.begin].line;
    return node;
  }

  Node value_of(Range range) {
    if (range.empty()) return scalar(Form::null, "");
    const Token& first = t_[range.begin];
    if (range.size() == 1) return single(first);
    if (range.size() == 2 && first.is("-") && t_[range.begin + 1].kind == Kind::number) return scalar(Form::number, "-" + t_[range.begin + 1].text);
    if (opens(first) && closing(range.begin) + 1 == range.end) return group(range);
    if (first.kind == Kind::word && (first.text == "new" || first.text == "await")) return value_of({range.begin + 1, range.end});
    if (first.kind == Kind::word && range.size() > 2 && opens(t_[range.begin + 1]) && closing(range.begin + 1) + 1 == range.end) return call(range);
    for (std::size_t i = range.begin; i < range.end; ++i) {
      if (t_[i].is("||") || t_[i].is("??") || (t_[i].kind == Kind::word && t_[i].text == "or")) return with_fallback({range.begin, i}, {i + 1, range.end});
      if (opens(t_[i])) i = closing(i);
    }
    return product(range);
  }

  Node single(const Token& token) const {
    switch (token.kind) {
      case Kind::number: return scalar(Form::number, token.text);
      case Kind::string: return scalar(Form::string, token.text);
      case Kind::pattern: return pattern(token.text);
      case Kind::word: break;
      default: return scalar(Form::words, token.text);
    }
    if (token.text == "true" || token.text == "True") return scalar(Form::boolean, "true");
    if (token.text == "false" || token.text == "False") return scalar(Form::boolean, "false");
    if (token.text == "null" || token.text == "None" || token.text == "undefined" || token.text == "nil") return scalar(Form::null, "");
    if (token.text.starts_with("process.env.")) return variable(token.text.substr(12), "");
    for (const Factor& factor : factors) {
      if (factor.name == token.text) return scalar(Form::string, text("1", factor.unit));
    }
    return scalar(Form::words, token.text);
  }

  static Node variable(std::string_view name, const std::string& fallback) {
    return scalar(Form::string, fallback.empty() ? text("${", name, "}") : text("${", name, ":-", fallback, "}"));
  }

  // Plain names in it are taken for variables of the environment.
  static Node pattern(const std::string& written) {
    std::string out;
    for (std::size_t i = 0; i < written.size();) {
      const std::size_t open = std::min(written.find("${", i), written.size());
      out += written.substr(i, open - i);
      if (open == written.size()) break;
      const std::size_t close = written.find('}', open);
      std::string name = written.substr(open + 2, close - open - 2);
      if (name.starts_with("process.env.")) name = name.substr(12);
      const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; });
      if (!plain) return scalar(Form::words, written);
      out += text("${", name, "}");
      i = close + 1;
    }
    return scalar(Form::string, out);
  }

  Node group(Range range) {
    Node inner = scalar(Form::object, "");
    pairs({range.begin + 1, range.end - 1}, false, inner);
    const auto is_position = [](const Member& member) { return member.key.starts_with('#') || member.key == "url"; };
    const bool list = std::all_of(inner.members.begin(), inner.members.end(), is_position);
    if (!list) return inner;
    Node out = scalar(Form::list, "");
    std::size_t begin = range.begin + 1;
    while (begin < range.end - 1) {
      const std::size_t end = std::min(value_end(begin, false), range.end - 1);
      if (end > begin) out.items.push_back(evaluate({begin, end}));
      begin = end + 1;
    }
    if (t_[range.begin].is("{")) return scalar(out.items.empty() ? Form::object : Form::words, "");
    if (t_[range.begin].is("(") && out.items.size() == 1) return out.items.front();
    return out;
  }

  Node call(Range range) {
    const std::string& name = t_[range.begin].text;
    const Range inside{range.begin + 2, range.end - 1};
    const std::size_t comma = std::min(value_end(inside.begin, false), inside.end);
    const Range first{inside.begin, comma}, second{std::min(comma + 1, inside.end), inside.end};
    const std::string_view last = last_segment(name);
    if (name == "os.getenv" || name == "os.environ.get" || name == "os.environ" || name == "env" || name == "getenv" || name == "process.env" ||
        name == "os.Getenv" || name == "System.getenv") {
      const Node variable_name = evaluate(first), fallback = evaluate(second);
      if (variable_name.form != Form::string || fallback.form == Form::words) return unknown(range);
      return variable(variable_name.text, fallback.text);
    }
    for (const Factor& factor : factors) {
      if (factor.name != name) continue;
      const Node number = evaluate(inside);
      if (number.form == Form::number) return scaled(number.text, factor.unit);
    }
    for (const std::string_view cast : {"int", "str", "float", "bool", "Number", "parseInt", "parseFloat", "String", "Integer.parseInt"}) {
      if (name == cast) return evaluate(first);
    }
    Node inner = scalar(Form::object, "");
    pairs(inside, false, inner);
    const bool named = std::any_of(inner.members.begin(), inner.members.end(), [](const Member& member) { return !member.key.starts_with('#'); });
    if (named && (last == "dict" || std::isupper(static_cast<unsigned char>(last[0])) || is_opener(t_[range.begin]))) return inner;
    return unknown(range);
  }

  static Node scaled(const std::string& number, std::string_view factor) {
    double value = 0, by = 1;
    std::from_chars(number.data(), number.data() + number.size(), value);
    if (factor != "000") std::from_chars(factor.data(), factor.data() + factor.size(), by);
    return scalar(Form::number, plain(factor == "000" ? value * 1000 : value * by));
  }

  static std::string plain(double value) {
    return value == std::floor(value) && std::abs(value) < 1e15 ? text(static_cast<std::int64_t>(value)) : text(value);
  }

  Node with_fallback(Range left, Range right) {
    const Node value = evaluate(left), fallback = evaluate(right);
    const bool alone = value.form == Form::string && value.text.starts_with("${") && value.text.find('}') == value.text.size() - 1 &&
                       value.text.find(":-") == std::string::npos;
    if (!alone || fallback.form == Form::words || !fallback.members.empty() || !fallback.items.empty()) return unknown({left.begin, right.end});
    return variable(std::string_view(value.text).substr(2, value.text.size() - 3), fallback.text);
  }

  // 60 * 1000, 5 * time.Minute
  Node product(Range range) {
    double value = 1;
    std::string_view unit;
    bool divide = false;
    for (std::size_t i = range.begin; i < range.end; i += 2) {
      const Node factor = t_[i].kind == Kind::word || t_[i].kind == Kind::number ? single(t_[i]) : scalar(Form::words, "");
      if (factor.form == Form::string && unit.empty() && factor.text.starts_with('1')) {
        for (const Factor& known : factors) {
          if (known.name == t_[i].text) unit = known.unit;
        }
        if (unit.empty()) return unknown(range);
      } else if (factor.form == Form::number) {
        double number = 0;
        std::from_chars(factor.text.data(), factor.text.data() + factor.text.size(), number);
        value = divide ? value / number : value * number;
      } else {
        return unknown(range);
      }
      if (i + 1 == range.end) break;
      if (i + 2 >= range.end || (!t_[i + 1].is("*") && !t_[i + 1].is("/"))) return unknown(range);
      divide = t_[i + 1].is("/");
    }
    if (unit.empty()) return scalar(Form::number, plain(value));
    return scalar(Form::string, text(plain(value), unit));
  }

  const std::vector<Token>& t_;
  std::span<const std::string_view> openers_;
};

// Every bracket must have its partner: else nothing of what follows can be trusted.
bool balanced(const std::vector<Token>& tokens, const std::string& file, Problems& problems) {
  std::vector<const Token*> open;
  for (const Token& token : tokens) {
    if (token.is("(") || token.is("[") || token.is("{")) open.push_back(&token);
    if (!token.is(")") && !token.is("]") && !token.is("}")) continue;
    const std::string_view partner = token.is(")") ? "(" : token.is("]") ? "[" : "{";
    if (open.empty() || open.back()->text != partner) {
      problems.add("", text("file ", file, ":", token.line, ": the ", token.text, " here closes nothing",
                            open.empty() ? "" : text("; ", open.back()->text, " of line ", open.back()->line, " is still open"),
                            "; remove it or open it before"));
      return false;
    }
    open.pop_back();
  }
  if (open.empty()) return true;
  problems.add("", text("file ", file, ":", open.back()->line, ": the ", open.back()->text, " that is opened here is never closed; close it"));
  return false;
}

}  // namespace

std::optional<Node> parse_literals(const std::string& content, const std::string& file, std::span<const std::string_view> openers, Problems& problems) {
  const auto tokens = tokens_of(content, file, problems);
  if (!tokens || !balanced(*tokens, file, problems)) return std::nullopt;
  return Literals(*tokens, openers).run();
}

}  // namespace sluice::config
