#include <sluice/core/text.hpp>
#include <sluice/pool/registry.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <deque>

namespace sluice::pool {
namespace {

// Filled before main by static objects of several translation units, hence made on first use. A deque: its elements stay where they are.
std::deque<Driver>& drivers() {
  static std::deque<Driver> all;
  return all;
}

constexpr std::size_t nonce_digits = 8;

template <class N>
bool parse_whole(std::string_view digits, N& number) {
  const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return end.ec == std::errc() && end.ptr == digits.data() + digits.size();
}

bool is_scheme_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'; }

}  // namespace

std::string Identity::text() const { return sluice::text(instance, '.', nonce, ':', slot, '.', generation); }

std::optional<Identity> parse_identity(std::string_view text) {
  // From the right: an instance id may itself contain dots.
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon < nonce_digits + 2) return std::nullopt;
  const std::string_view life = text.substr(colon + 1);
  const std::size_t dot = life.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::size_t nonce_at = colon - nonce_digits;
  if (text[nonce_at - 1] != '.') return std::nullopt;

  Identity identity;
  identity.instance = text.substr(0, nonce_at - 1);
  identity.nonce = text.substr(nonce_at, nonce_digits);
  if (identity.nonce.find_first_not_of("0123456789abcdef") != std::string::npos) return std::nullopt;
  if (!parse_whole(life.substr(0, dot), identity.slot) || !parse_whole(life.substr(dot + 1), identity.generation)) return std::nullopt;
  return identity;
}

Register::Register(Driver driver) {
  for (const std::string& scheme : driver.schemes) {
    if (const Driver* other = find_driver(scheme)) {
      std::fprintf(stderr, "sluice: two drivers for the url scheme '%s': %s and %s\n", scheme.c_str(), other->display_name.c_str(), driver.display_name.c_str());
      std::abort();
    }
  }
  drivers().push_back(std::move(driver));
}

const Driver* find_driver(std::string_view scheme) noexcept {
  for (const Driver& driver : drivers()) {
    for (const std::string& known : driver.schemes) {
      if (known == scheme) return &driver;
    }
  }
  return nullptr;
}

std::vector<std::string> known_schemes() {
  std::vector<std::string> all;
  for (const Driver& driver : drivers()) all.insert(all.end(), driver.schemes.begin(), driver.schemes.end());
  std::sort(all.begin(), all.end());
  return all;
}

std::string scheme_of(std::string_view url) {
  const std::size_t colon = url.find(':');
  if (colon == std::string_view::npos || colon == 0) return {};
  std::string scheme(url.substr(0, colon));
  for (char& c : scheme) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (!is_scheme_char(c)) return {};
  }
  return scheme;
}

}  // namespace sluice::pool
