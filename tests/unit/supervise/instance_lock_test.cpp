// The instance lock: one fleet at a time, how the last one ended, and what it left for the next.
#include <sluice/core/error.hpp>
#include <sluice/supervise/instance_lock.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace sluice::supervise {
namespace {

struct Folder {
  Folder() {
    char name[] = "/tmp/sluice-test-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string lock() const { return path + "/a.lock"; }
  std::string content() const {
    std::ifstream file(lock());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string path;
};

TEST_CASE("The instance lock excludes a second holder, whose message names the file and the remedies") {
  const Folder folder;
  const InstanceLock first(folder.lock(), "a", 0s);
  try {
    const InstanceLock second(folder.lock(), "a", 0s);
    FAIL("the lock was given twice");
  } catch (const ExitError& e) {
    CHECK(e.code() == ExitCode::temporary);
    CHECK(std::string(e.what()).find(folder.lock()) != std::string::npos);
    CHECK(std::string(e.what()).find("--instance") != std::string::npos);
  }
}

TEST_CASE("A first start counts as unclean, an ended fleet as it marked its end, and a killed one as unclean") {
  const Folder folder;
  {
    InstanceLock lock(folder.lock(), "a", 0s);
    CHECK_FALSE(lock.last_end_was_clean());
    lock.mark_running();
    lock.mark_clean();
  }
  {
    InstanceLock lock(folder.lock(), "a", 0s);
    CHECK(lock.last_end_was_clean());
    lock.mark_running();  // and then it is killed
  }
  CHECK_FALSE(InstanceLock(folder.lock(), "a", 0s).last_end_was_clean());
}

TEST_CASE("What a fleet wants remembered is there for the next, however it ended, and does not change how it ended") {
  const Folder folder;
  {
    InstanceLock lock(folder.lock(), "a", 0s);
    CHECK(lock.remembered().empty());
    lock.mark_running();
    lock.remember("2000 main\n60000 other\n");
  }
  {
    InstanceLock lock(folder.lock(), "a", 0s);
    CHECK_FALSE(lock.last_end_was_clean());
    CHECK(lock.remembered() == "2000 main\n60000 other\n");
    lock.mark_running();
    lock.remember("1000 main\n");  // shorter than what was there
    lock.mark_clean();
  }
  CHECK(folder.content() == "clean\n1000 main\n");
  InstanceLock lock(folder.lock(), "a", 0s);
  CHECK(lock.last_end_was_clean());
  lock.remember(std::string(5000, 'x'));  // too long: ignored
  CHECK(lock.remembered() == "1000 main\n");
}

TEST_CASE("A lock file with other content is an unclean end that nothing is learnt from") {
  const Folder folder;
  for (const std::string content : {"", "cle", "clean", "\x01\x02garbage"}) {
    std::ofstream(folder.lock(), std::ios::trunc) << content;
    const InstanceLock lock(folder.lock(), "a", 0s);
    CHECK_FALSE(lock.last_end_was_clean());
    CHECK(lock.remembered().empty());
  }
}

}  // namespace
}  // namespace sluice::supervise
