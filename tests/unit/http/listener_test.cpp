#include "unit/http/directory.hpp"

#include <sluice/http/address.hpp>
#include <sluice/http/server.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>

using namespace sluice;
using namespace sluice::http;
using sluice::http::testing::Directory;

namespace {

ExitError refusal(const std::string& address) {
  try {
    bind_listener(address, "http.listen");
  } catch (const ExitError& e) {
    return e;
  }
  return ExitError(ExitCode::done, "it was bound");
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("Addresses are read in all their forms") {
  CHECK(parse_address("127.0.0.1:80")->host == "127.0.0.1");
  CHECK(parse_address("[::1]:80")->host == "::1");
  CHECK(parse_address(":80")->host.empty());
  CHECK(parse_address("*:80")->host.empty());
  CHECK(parse_address("unix:/a")->host == "/a");
  for (const char* wrong : {"", "80", "host", "host:", "host:x", "host:70000", "::1:80", "unix:", "host:80x"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_address(wrong));
  }
  CHECK_FALSE(parse_address("unix:/" + std::string(200, 'x')));
}

TEST_CASE("A listener is non-blocking, close-on-exec, and can tell its address") {
  const Descriptor fd = bind_listener("127.0.0.1:0", "http.listen");
  CHECK((::fcntl(fd.get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  const std::string address = local_address(fd.get());
  CHECK(address.starts_with("127.0.0.1:"));
  CHECK(address != "127.0.0.1:0");
}

TEST_CASE("A port in use is refused with the option, the address, the cause and the remedy") {
  const Descriptor fd = bind_listener("127.0.0.1:0", "http.listen");
  const ExitError error = refusal(local_address(fd.get()));
  CHECK(error.code() == ExitCode::unavailable);
  for (const std::string& part : {std::string("http.listen"), local_address(fd.get()), std::string("in use"), std::string("--http.listen")})
    CHECK(contains(error.what(), part));
}

TEST_CASE("A malformed address is a mistake in the configuration, a foreign one is unavailable") {
  CHECK(refusal("8080").code() == ExitCode::config);
  CHECK(refusal("192.0.2.1:0").code() == ExitCode::unavailable);
  CHECK(contains(refusal("192.0.2.1:0").what(), "no such address"));
  CHECK(refusal("unix:/no/such/directory/x.sock").code() == ExitCode::unavailable);
}

TEST_CASE("A Unix socket has the asked mode whatever the umask, and replaces a stale file but no living one") {
  Directory directory;
  const std::string path = directory.file("x.sock");
  const mode_t saved = ::umask(0177);
  Descriptor first = bind_listener("unix:" + path, "control", 0620);
  ::umask(saved);
  struct stat info {};
  ::stat(path.c_str(), &info);
  CHECK((info.st_mode & 0777) == 0620);
  CHECK(local_address(first.get()) == "unix:" + path);
  CHECK(contains(refusal("unix:" + path).what(), "in use"));
  first.reset();
  const Descriptor second = bind_listener("unix:" + path, "control");
  CHECK(second);
}

TEST_CASE("A file that is no socket is never removed") {
  Directory directory;
  const std::string path = directory.file("precious");
  std::ofstream(path) << "data";
  CHECK(contains(refusal("unix:" + path).what(), "no socket"));
  std::string content;
  std::ifstream(path) >> content;
  CHECK(content == "data");
}
