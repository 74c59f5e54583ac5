#include <sluice/launch/janitor_process.hpp>

#include <sluice/config/transfer.hpp>
#include <sluice/core/child.hpp>
#include <sluice/core/descriptor.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/launch/log_settings.hpp>
#include <sluice/runtime/janitor.hpp>
#include <sluice/shm/segment.hpp>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace sluice::launching {
namespace {

constexpr std::string_view call = "--sluice-janitor";  // followed by generation and the master's pid

// Where the program finds its descriptors.
enum Place : int { channel_at = 3, configuration_at, segment_at, lock_at, first_unused };

std::uint64_t number(const std::string& word) {
  std::uint64_t n = 0;
  const auto read = std::from_chars(word.data(), word.data() + word.size(), n);
  if (read.ec != std::errc{} || read.ptr != word.data() + word.size()) throw ExitError(ExitCode::usage, text(call, " is for the master alone"));
  return n;
}

}  // namespace

int execute_janitor(const std::string& application, const JanitorDescriptors& descriptors, std::uint64_t generation) {
  std::array<int, first_unused - channel_at> from{descriptors.channel, descriptors.configuration, descriptors.segment, descriptors.lock};
  for (int& fd : from) {  // out of the way first: a source may be in another's place
    fd = ::fcntl(fd, F_DUPFD, static_cast<int>(first_unused));
    if (fd < 0) throw_errno("fcntl(F_DUPFD)");
  }
  for (int place = channel_at; place < first_unused; ++place) {
    if (::dup2(from[static_cast<std::size_t>(place - channel_at)], place) < 0) throw_errno("dup2");
  }
  if (::close_range(first_unused, ~0U, 0) != 0) throw_errno("close_range");
  const std::array<std::string, 4> words{application + ": janitor", std::string(call), std::to_string(generation), std::to_string(::getppid())};
  std::array<char*, 5> argv{};
  for (std::size_t i = 0; i < words.size(); ++i) argv[i] = const_cast<char*>(words[i].c_str());
  ::execv("/proc/self/exe", argv.data());
  log::error(text("cannot execute this program again (/proc/self/exe): ", std::strerror(errno), "; the janitor needs /proc"));
  return to_int(ExitCode::software);
}

std::optional<int> run_executed_janitor(const std::vector<std::string>& arguments) {
  if (arguments.size() != 3 || arguments.front() != call) return std::nullopt;
  const std::uint64_t generation = number(arguments[1]);
  child::prelude(static_cast<pid_t>(number(arguments[2])), false);  // the master may have died since
  for (int place = channel_at; place < first_unused; ++place) {
    if (::fcntl(place, F_SETFD, FD_CLOEXEC) != 0) throw ExitError(ExitCode::usage, text(call, " is for the master alone"));
  }
  const config::Config config = config::from_memory(configuration_at);
  ::close(configuration_at);
  child::set_title(config.name + ": janitor");
  log::configure(log_settings(config.log));
  log::set_name("janitor");
  const shm::Segment segment = shm::Segment::open(Descriptor(segment_at), true);
  runtime::JanitorInputs inputs;
  inputs.segment = &segment;
  inputs.config = &config;
  for (const auto& [name, pool] : config.pools) inputs.pool_order.push_back(name);  // as the segment numbers them
  inputs.channel = channel_at;
  inputs.generation = generation;
  return runtime::run_janitor(inputs);
}

}  // namespace sluice::launching
