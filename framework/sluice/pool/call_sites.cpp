#include <sluice/core/text.hpp>
#include <sluice/pool/call_sites.hpp>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace sluice::pool {
namespace {

// The end of a path says more than its start; the start of a function's name more than its end.
template <std::size_t N>
std::string_view tail(std::string_view text, const char (&)[N]) noexcept {
  return text.size() < N ? text : text.substr(text.size() - (N - 1));
}
template <std::size_t N>
std::string_view head(std::string_view text, const char (&)[N]) noexcept {
  return text.substr(0, N - 1);
}
// "ns::Class::member" of "result<with, arguments> ns::Class::member(arguments)".
std::string_view bare_name(std::string_view signature) noexcept {
  signature = signature.substr(0, signature.find('('));
  int depth = 0;
  for (std::size_t i = signature.size(); i > 0; --i) {
    const char c = signature[i - 1];
    if (c == '>') ++depth;
    if (c == '<') --depth;
    if (c == ' ' && depth == 0) return signature.substr(i);
  }
  return signature;
}
template <std::size_t N>
void copy(char (&to)[N], std::string_view text) noexcept {
  std::memcpy(to, text.data(), text.size());
  to[text.size()] = 0;
}

}  // namespace

std::uint32_t CallSites::find_from(std::size_t place, const boost::source_location& where) noexcept {
  for (unsigned probes = 0; probes < 8; ++probes, place = (place + 1) % cache_.size()) {
    Known& known = cache_[place];
    if (known.file == where.file_name() && known.line == where.line()) return known.number;
    if (!known.file) {
      known = Known{where.file_name(), where.line(), publish(where)};
      return known.number;
    }
  }
  return 0;
}

std::uint32_t CallSites::publish(const boost::source_location& where) noexcept {
  const std::uint32_t line = std::max<std::uint32_t>(where.line(), 1);  // 0 marks a free place
  for (std::size_t i = 0; i < shared_.size(); ++i) {
    shm::CallSite& site = shared_[i];
    const std::string_view file = tail(where.file_name(), site.file);
    const std::string_view function = head(bare_name(where.function_name()), site.function);
    const std::uint32_t present = site.line.load(std::memory_order_relaxed);
    if (present == 0) {
      copy(site.file, file);
      copy(site.function, function);
      site.line.store(line, std::memory_order_release);
      return static_cast<std::uint32_t>(i + 1);
    }
    if (present == line && file == site.file && function == site.function) return static_cast<std::uint32_t>(i + 1);
  }
  return 0;
}

std::string CallSites::text(std::uint32_t number) const {
  if (number == 0 || number > shared_.size()) return {};
  const shm::CallSite& site = shared_[number - 1];
  const std::uint32_t line = site.line.load(std::memory_order_acquire);
  return line == 0 ? std::string() : sluice::text(site.file, ':', line, " (", site.function, ')');
}

}  // namespace sluice::pool
