// The option table: every option is described once, here, and the flag parser, the environment, files, --help, the JSON
// Schema, the reference page, validation, --print-config and "did you mean" all read it.
//
// A constant table without allocations; safe from any thread and process. An option's default is what a default-made
// Config holds, so it is written once, in config.hpp.
#pragma once

#include <sluice/config/value.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config {

enum class Type { boolean, integer, number, text, choice, address, duration, bytes, workers, json };

// open: printed as it is. url: printed through redact_url(). hidden: printed as ***.
// url and hidden ones may also come from a file, as <option>_file.
enum class Secrecy { open, url, hidden };

// Reads and writes the option's field. `key` is the map key of names with a placeholder, else empty; set() makes the
// entry if it is not there, get() of a missing entry gives the default.
struct Access {
  Value (*get)(const Config& config, std::string_view key) = nullptr;
  void (*set)(Config& config, std::string_view key, const Value& value) = nullptr;
};

struct Option {
  std::string_view name;  // "http.listen", "pools.<name>.max"
  Type type = Type::text;
  Access access;
  std::string_view doc{};     // what it does: sentences without a line break
  std::string_view zero{};    // what 0 means, if it is special
  std::string_view absent{};  // the word for "not set", where that is not the same as any value; accepted as a value
  double low = 0;             // limits: numbers as they are, durations in seconds, sizes in bytes
  double high = 0;
  bool below_high = false;  // high itself is outside
  bool may_be_off = false;  // address: "off" is a value
  Secrecy secrecy = Secrecy::open;
  std::span<const std::string_view> choices{};
  std::string_view development{};  // the value in this preset, as in a flag; empty: the default
  std::string_view test{};
  std::string_view alias{};  // another name: --admin for --admin.listen, --log for --log.level
  char short_flag = 0;       // w for -w
  bool common = false;       // among the first in --help
};

// In the order of the reference page; options of a section stand together.
std::span<const Option> options();

// A run of options with a common prefix: "http.", "pools.<name>.tls."; prefix "" holds the instance's own.
struct Section {
  std::string_view prefix;
  std::string_view title;
  std::string_view doc;
};
std::span<const Section> sections();
// The section with the longest prefix of the option's name.
const Section& section_of(const Option& option);

// How the name was written. A file's keys are exact; in flags "-" equals "_"; in the environment case is ignored too
// and the name arrives in lower case with dots for "__".
enum class Spelling { exact, flag, environment };

// An option with its placeholder filled.
struct Match {
  const Option* option = nullptr;
  std::string key;         // "main" of pools.main.max
  bool from_file = false;  // <option>_file: the value is the content of a file

  std::string name() const;  // the canonical dotted name, without _file
};

std::optional<Match> find_option(std::string_view name, Spelling spelling);
// "" and below: is this the name of a section ("pools", "pools.main", "http") rather than of an option?
bool is_section(std::string_view name);
// The option called `name` in the table ("pools.<name>.max"). REQUIRES: it exists.
const Option& option_named(std::string_view name);

// "pools.<name>.max" with the placeholder replaced.
std::string filled(std::string_view name, std::string_view key);
// The keys under which the option exists in `config`: pool or server names, or one empty key.
std::vector<std::string> keys_of(const Option& option, const Config& config);
// The option's default, as in a default-made Config.
Value default_of(const Option& option);
// The option's value in a preset, as in a flag; empty if the preset does not change it.
std::string_view preset_value(const Option& option, Preset preset);
// The nearest option name, placeholder filled; "" if nothing is near.
std::string suggestion(std::string_view name);

// Do the words differ by one letter more, less, other, or by two swapped neighbours?
bool is_slip(std::string_view a, std::string_view b);

// 1 to 63 letters, digits, '_' and '-': names of pools and servers.
bool is_key(std::string_view key);

}  // namespace sluice::config
