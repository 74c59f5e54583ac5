#include <sluice/core/clock.hpp>
#include <sluice/core/cpus.hpp>
#include <sluice/core/descriptor.hpp>
#include <sluice/core/gate.hpp>
#include <sluice/core/offload.hpp>
#include <sluice/core/text.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>

#include <future>
#include <map>

using namespace sluice;

namespace {

FileReader files(std::map<std::string, std::string> content) {
  return [content = std::move(content)](const std::string& path) -> std::optional<std::string> {
    const auto it = content.find(path);
    if (it == content.end()) return std::nullopt;
    return it->second;
  };
}

template <class T>
T run(asio::io_context& loop, awaitable<T> task) {
  std::optional<T> result;
  std::exception_ptr error;
  asio::co_spawn(loop, std::move(task), [&](std::exception_ptr e, T value) {
    error = e;
    if (!e) result = std::move(value);
  });
  loop.run();
  loop.restart();
  if (error) std::rethrow_exception(error);
  return std::move(*result);
}

awaitable<int> offload_value(int value) {
  auto function = [value] { return value + 1; };
  co_return co_await offload(std::move(function), Deadline::never());
}

awaitable<int> offload_error() {
  auto function = []() -> int { throw Error("no such host"); };
  co_return co_await offload(std::move(function), Deadline::never());
}

awaitable<int> offload_forever(std::shared_future<void> end, Duration limit) {
  auto function = [end] {
    end.wait();
    return 1;
  };
  co_return co_await offload(std::move(function), Deadline::after(limit));
}

}  // namespace

TEST_CASE("text concatenates words and numbers without a locale") {
  CHECK(text("held ", 3, " of ", 4u, ' ', true, " ", -7) == "held 3 of 4 true -7");
}

TEST_CASE("the closest known word is suggested only if it is near") {
  const std::string_view words[] = {"acquire_timeout", "idle_timeout", "max"};
  CHECK(closest("aquire_timeout", std::begin(words), std::end(words)) == "acquire_timeout");
  CHECK(closest("mxa", std::begin(words), std::end(words)).empty());
  CHECK(closest("maxx", std::begin(words), std::end(words)) == "max");
  CHECK(closest("zzzzzzzz", std::begin(words), std::end(words)).empty());
}

TEST_CASE("the number of usable CPUs is the smallest of affinity and every cgroup quota above us") {
  CHECK(usable_cpus(8, files({})) == 8);
  CHECK(usable_cpus(0, files({})) == 1);
  CHECK(usable_cpus(8, files({{"/proc/self/cgroup", "0::/a/b\n"}, {"/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"}, {"/sys/fs/cgroup/a/cpu.max", "250000 100000\n"}})) == 3);
  CHECK(usable_cpus(8, files({{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "50000 100000\n"}})) == 1);
  CHECK(usable_cpus(8, files({{"/proc/self/cgroup", "4:memory:/x\n3:cpu,cpuacct:/docker/1\n"},
                              {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n"},
                              {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}})) == 2);
  CHECK(usable_cpus(8, files({{"/proc/self/cgroup", "3:cpu:/\n"}, {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"}, {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}})) == 8);
}

TEST_CASE("a duplicate descriptor closes on exec and outlives its original") {
  auto [a, b] = message_socket_pair();
  Descriptor copy = duplicate(a.get());
  CHECK((::fcntl(copy.get(), F_GETFD) & FD_CLOEXEC) != 0);
  a.reset();
  CHECK(::fcntl(copy.get(), F_GETFD) >= 0);
}

TEST_CASE("an offloaded call resumes its caller with the value or the exception") {
  asio::io_context loop;
  CHECK(run(loop, offload_value(41)) == 42);
  CHECK_THROWS_WITH_AS(run(loop, offload_error()), "no such host", Error);
}

TEST_CASE("an offloaded call that does not end is abandoned at its deadline while the thread ends by itself later") {
  std::promise<void> end;
  const std::shared_future<void> future = end.get_future().share();
  {
    asio::io_context loop;
    CHECK_THROWS_AS(run(loop, offload_forever(future, 20ms)), TimedOut);
  }
  end.set_value();  // the loop is gone by now
}

TEST_CASE("a loop that is destroyed while a call is offloaded leaves nothing behind that the thread could touch") {
  std::promise<void> end;
  const std::shared_future<void> future = end.get_future().share();
  {
    asio::io_context loop;
    asio::co_spawn(loop, offload_forever(future, 1h), [](std::exception_ptr, int) {});
    loop.poll();
  }
  end.set_value();
}

TEST_CASE("a gate lets nobody in once closed and drains when the last one has left") {
  asio::io_context loop;
  Gate gate(loop.get_executor());
  Gate::Pass pass = gate.enter();
  CHECK(pass);
  CHECK(gate.inside() == 1);
  CHECK_FALSE(run(loop, gate.drain(Deadline::after(1ms))));
  CHECK_FALSE(gate.enter());
  asio::post(loop, [&pass] { pass = Gate::Pass(); });
  CHECK(run(loop, gate.drain(Deadline::never())));
}
