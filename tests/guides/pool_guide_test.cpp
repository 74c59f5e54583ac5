// The tables of docs/guides/pool.md name every event, close reason and phase of an error, and nothing else.
#include <sluice/pool/error.hpp>
#include <sluice/pool/events.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>

using namespace sluice::pool;
using Strings = std::set<std::string>;

namespace {

std::string read(const std::string& path) {
  std::ifstream file(std::string(SLUICE_SOURCE_DIR) + "/" + path);
  REQUIRE(file.good());
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The first column of the table whose head is `| first | …`.
Strings named_in_table(const std::string& page, const std::string& first) {
  Strings names;
  std::istringstream lines(page.substr(std::min(page.find("\n| " + first + " |"), page.size())));
  std::string line;
  std::getline(lines, line);  // the end of the line before
  std::getline(lines, line);  // the head
  std::getline(lines, line);  // |---|
  while (std::getline(lines, line) && line.starts_with("| `")) {
    CHECK(names.insert(line.substr(3, line.find('`', 3) - 3)).second);
  }
  return names;
}

// How many enumerators the header gives to `enum class <name>`: a new one is counted, wherever it stands.
int enumerators(const std::string& header, const std::string& name) {
  const std::size_t begin = header.find("enum class " + name + " {");
  REQUIRE(begin != std::string::npos);
  const std::string body = header.substr(begin, header.find('}', begin) - begin);
  return 1 + static_cast<int>(std::count(body.begin(), body.end(), ','));
}

template <class E>
Strings texts(const std::string& header, const std::string& name) {
  Strings all;
  for (int i = 0; i < enumerators(header, name); ++i) all.insert(to_text(static_cast<E>(i)));
  return all;
}

}  // namespace

TEST_CASE("docs/guides/pool.md explains every event, close reason and phase of an error, and no other") {
  const std::string page = read("docs/guides/pool.md");
  const std::string events = read("framework/sluice/pool/events.hpp");
  CHECK(named_in_table(page, "event") == texts<EventType>(events, "EventType"));
  Strings reasons = texts<CloseReason>(events, "CloseReason");
  reasons.erase(to_text(CloseReason::none));  // of all other events
  CHECK(named_in_table(page, "reason") == reasons);
  CHECK(named_in_table(page, "phase") == texts<Phase>(read("framework/sluice/pool/error.hpp"), "Phase"));
}
