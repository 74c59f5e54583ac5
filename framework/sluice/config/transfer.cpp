#include <sluice/config/transfer.hpp>

#include <sluice/config/table.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <type_traits>
#include <variant>

// Per option and key: its name, its key, the kind of its value, the value. Each is written as its length, ':' and its bytes.
namespace sluice::config {
namespace {

constexpr std::string_view beginning = "sluice configuration 1";

template <class Number>
std::string digits(Number n) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, n).ptr;  // the shortest text that reads back as the same number
  return {buffer, end};
}

template <class Number>
Number number(std::string_view word) {
  Number n{};
  const auto read = std::from_chars(word.data(), word.data() + word.size(), n);
  if (read.ec != std::errc{} || read.ptr != word.data() + word.size()) throw Error("a configuration in transfer is damaged");
  return n;
}

void write(std::string& out, std::string_view word) {
  out += digits(word.size());
  out += ':';
  out += word;
}

class Reader {
 public:
  explicit Reader(std::string_view packed) : rest_(packed) {}
  bool done() const noexcept { return rest_.empty(); }
  std::string_view next() {
    const std::size_t colon = rest_.find(':');
    const auto length = colon == std::string_view::npos ? rest_.size() : number<std::size_t>(rest_.substr(0, colon));
    if (colon == std::string_view::npos || length > rest_.size() - colon - 1) throw Error("a configuration in transfer is damaged");
    const std::string_view word = rest_.substr(colon + 1, length);
    rest_.remove_prefix(colon + 1 + length);
    return word;
  }

 private:
  std::string_view rest_;
};

std::string text_of(const Value& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) return "";
        else if constexpr (std::is_same_v<T, bool>) return v ? "1" : "0";
        else if constexpr (std::is_same_v<T, std::string>) return v;
        else if constexpr (std::is_same_v<T, Duration>) return digits(v.count());
        else if constexpr (std::is_same_v<T, WorkerCounts>) {
          std::string out;
          write(out, v.first_kind ? digits(*v.first_kind) : "");
          for (const auto& [kind, count] : v.kinds) {
            write(out, kind);
            write(out, digits(count));
          }
          return out;
        } else return digits(v);
      },
      value);
}

template <std::size_t I = 0>
Value value_of(std::size_t kind, std::string_view word) {
  if constexpr (I == std::variant_size_v<Value>) {
    throw Error("a configuration in transfer is damaged");
  } else {
    if (kind != I) return value_of<I + 1>(kind, word);
    using T = std::variant_alternative_t<I, Value>;
    if constexpr (std::is_same_v<T, std::monostate>) return std::monostate{};
    else if constexpr (std::is_same_v<T, bool>) return word == "1";
    else if constexpr (std::is_same_v<T, std::string>) return std::string(word);
    else if constexpr (std::is_same_v<T, Duration>) return Duration(number<Duration::rep>(word));
    else if constexpr (std::is_same_v<T, WorkerCounts>) {
      Reader reader(word);
      WorkerCounts counts;
      if (const std::string_view first = reader.next(); !first.empty()) counts.first_kind = number<int>(first);
      while (!reader.done()) {
        const std::string_view kind_name = reader.next();
        counts.kinds[std::string(kind_name)] = number<int>(reader.next());
      }
      return counts;
    } else return number<T>(word);
  }
}

}  // namespace

std::string pack(const Config& config) {
  std::string out;
  write(out, beginning);
  write(out, config.app_json);
  for (const Option& option : options()) {
    for (const std::string& key : keys_of(option, config)) {
      const Value value = option.access.get(config, key);
      write(out, option.name);
      write(out, key);
      write(out, digits(value.index()));
      write(out, text_of(value));
    }
  }
  return out;
}

Config unpack(std::string_view packed) {
  Reader reader(packed);
  if (reader.next() != beginning) throw Error("a configuration in transfer comes from another program");
  Config config;
  config.app_json = reader.next();
  while (!reader.done()) {
    const std::string_view name = reader.next(), key = reader.next();
    const auto kind = number<std::size_t>(reader.next());
    option_named(name).access.set(config, key, value_of(kind, reader.next()));
  }
  return config;
}

Descriptor to_memory(const Config& config) {
  const std::string packed = pack(config);
  Descriptor file(::memfd_create("sluice-configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) throw_errno("memfd_create");
  for (std::size_t done = 0; done < packed.size();) {
    const ssize_t n = ::write(file.get(), packed.data() + done, packed.size() - done);
    if (n < 0) throw_errno("write of the configuration");
    done += static_cast<std::size_t>(n);
  }
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) throw_errno("fcntl(F_ADD_SEALS)");
  return file;
}

Config from_memory(int file) {
  struct stat status = {};
  if (::fstat(file, &status) != 0) throw_errno("fstat of the configuration");
  std::string packed(static_cast<std::size_t>(status.st_size), '\0');
  for (std::size_t done = 0; done < packed.size();) {
    const ssize_t n = ::pread(file, packed.data() + done, packed.size() - done, static_cast<off_t>(done));
    if (n < 0) throw_errno("read of the configuration");
    if (n == 0) throw Error("a configuration in transfer is damaged");
    done += static_cast<std::size_t>(n);
  }
  return unpack(packed);
}

}  // namespace sluice::config
