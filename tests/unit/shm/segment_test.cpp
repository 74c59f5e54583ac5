#include <sluice/core/error.hpp>
#include <sluice/shm/message.hpp>
#include <sluice/shm/segment.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

using namespace sluice;

namespace {

shm::Segment make() {
  shm::Shape shape;
  shape.instance = "orders@host";
  shape.max_workers = 4;
  shape.kinds = {"web", "jobs"};
  shape.servers = {{"main", 10}, {"other", 5}};
  shape.pools = {{"main", "postgres", 0, 3}, {"second", "postgres", 1, 0}};
  return shm::Segment::create(shape);
}

}  // namespace

TEST_CASE("a new segment is zero, which every block takes as its empty state") {
  const shm::Segment s = make();
  CHECK(s.instance() == "orders@host");
  CHECK(s.kind_name(1) == "jobs");
  CHECK(s.kind_name(9) == "?");
  CHECK(s.slots().size() == 4);
  CHECK(s.rows(0).size() == 10);
  CHECK(s.rows(1).size() == 5);
  CHECK(s.rows(1).data() == s.rows(0).data() + 10);
  for (const auto& row : s.rows(0)) CHECK(row.owner.load() == 0);
  CHECK(s.slots()[3].state.get() == static_cast<std::uint64_t>(shm::SlotState::empty));
}

TEST_CASE("no block overlaps another") {
  const shm::Segment s = make();
  s.slots()[3].reason.set(std::string(160, 'x'));
  s.pool_stats(3, 1).last_error.set(std::string(200, 'y'));
  s.limits(1)[3].store(7);
  s.call_sites(3)[shm::call_sites_per_slot - 1].line.store(9);
  CHECK(s.servers()[0].budget.get() == 0);
  CHECK(s.rows(0)[0].owner.load() == 0);
  CHECK(s.pool_stats(0, 0).acquires.get() == 0);
  CHECK(s.slots()[3].reason.get() == std::string(160, 'x'));
  CHECK(s.pool_stats(3, 1).last_error.get() == std::string(200, 'y'));
  CHECK(s.limits(0)[3].load() == 0);
}

TEST_CASE("the segment cannot be resized") {
  const shm::Segment s = make();
  CHECK(::ftruncate(s.file(), 1) != 0);
  CHECK(::ftruncate(s.file(), 1 << 30) != 0);
}

TEST_CASE("a child sees what is written, and dies if it writes through a read-only mapping") {
  shm::Segment s = make();
  const pid_t child = ::fork();
  if (child == 0) {
    s.slots()[1].requests.set(42);
    s.make_read_only();
    if (s.slots()[1].requests.get() != 42) ::_exit(1);
    ::signal(SIGSEGV, SIG_DFL);
    s.slots()[1].requests.set(43);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const bool ended_by_fault = WIFSIGNALED(status) || WEXITSTATUS(status) != 0;  // sanitizers report it and exit
  CHECK(ended_by_fault);
  CHECK(s.slots()[1].requests.get() == 42);
}

TEST_CASE("another layout version and foreign files are refused") {
  shm::Segment s = make();
  s.header().layout_version = 99;
  CHECK_THROWS_WITH_AS(shm::Segment::open(duplicate(s.file()), false), doctest::Contains("layout version 99"), Error);
  s.header().magic = 1;
  CHECK_THROWS_AS(shm::Segment::open(duplicate(s.file()), false), Error);
  Descriptor empty(::memfd_create("x", MFD_CLOEXEC));
  CHECK_THROWS_AS(shm::Segment::open(std::move(empty), false), Error);
}

TEST_CASE("a text is read whole or not at all while it changes") {
  shm::Segment s = make();
  auto& text = s.slots()[0].reason;
  std::atomic<bool> end{false};
  std::thread writer([&] {
    for (int i = 0; !end; ++i) text.set(std::string(100, i % 2 ? 'a' : 'b'));
  });
  for (int i = 0; i < 20000; ++i) {
    const std::string seen = text.get();
    REQUIRE((seen.empty() || (seen.size() == 100 && seen.find_first_not_of(seen[0]) == std::string::npos)));
  }
  end = true;
  writer.join();
}

TEST_CASE("histogram buckets are powers of two of a microsecond, the last one open") {
  using shm::Histogram;
  CHECK(Histogram::index(0) == 0);
  CHECK(Histogram::index(1000) == 0);
  CHECK(Histogram::index(1001) == 1);
  CHECK(Histogram::index(2000) == 1);
  CHECK(Histogram::index(2001) == 2);
  CHECK(Histogram::index(std::uint64_t{1} << 62) == Histogram::buckets - 1);
  for (std::uint64_t ns : {1ull, 999ull, 5000ull, 1'000'000ull, 77'000'000ull, 3'000'000'000ull}) {
    const int i = Histogram::index(ns);
    CHECK(static_cast<double>(ns) * 1e-9 <= Histogram::upper_bound_seconds(i));
    if (i > 0) CHECK(static_cast<double>(ns) * 1e-9 > Histogram::upper_bound_seconds(i - 1));
  }
}

TEST_CASE("messages keep their boundaries, and anything of another size is malformed") {
  auto [a, b] = message_socket_pair();
  shm::Message out;
  out.type = shm::MessageType::scale;
  out.value = -2;
  out.set_text(std::string(1000, 'z'));
  REQUIRE(shm::send(a.get(), out));
  REQUIRE(::send(a.get(), "garbage", 7, 0) == 7);
  const std::string big(5000, 'q');
  REQUIRE(::send(a.get(), big.data(), big.size(), 0) == 5000);
  shm::Message in;
  CHECK(shm::receive(b.get(), in) == shm::Received::message);
  CHECK(in.value == -2);
  CHECK(in.get_text() == std::string(sizeof in.text - 1, 'z'));
  CHECK(shm::receive(b.get(), in) == shm::Received::malformed);
  CHECK(shm::receive(b.get(), in) == shm::Received::malformed);
  CHECK(shm::receive(b.get(), in) == shm::Received::none);
  a.reset();
  CHECK(shm::receive(b.get(), in) == shm::Received::closed);
}
