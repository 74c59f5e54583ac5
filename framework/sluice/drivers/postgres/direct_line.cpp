#include <sluice/drivers/postgres/direct_line.hpp>

namespace sluice::postgres {
namespace {

constexpr std::size_t read_at_once = 16 * 1024;
constexpr std::size_t much = read_at_once / 2;  // after so much at once there is mostly more
constexpr unsigned most_reads = 16;             // of one turn of the loop
constexpr std::size_t kept_for_the_next = 256 * 1024;

}  // namespace

std::string& DirectLine::begin() {
  if (out_.capacity() > kept_for_the_next) std::string().swap(out_);
  out_.clear();
  sent_ = 0;
  return out_;
}

void DirectLine::send() {
  while (unsent()) {
    const std::optional<std::size_t> sent = wire_->send(std::string_view(out_).substr(sent_));
    if (!sent) return;
    sent_ += *sent;
  }
}

void DirectLine::receive() {
  const auto read = [this] { return wire_->receive(in_.room(read_at_once).first(read_at_once)); };
  std::optional<std::size_t> came = read();
  for (unsigned reads = 1; came; ++reads) {
    in_.came(*came);
    if (!wire_->has_more() && (*came < much || reads >= most_reads)) return;
    try {
      came = read();
    } catch (const ConnectionGone&) {
      return;  // after its last words; whoever waits for more meets it again
    }
  }
}

}  // namespace sluice::postgres
