// A setting of a server that several tests share: it lasts for a scope, whatever ends that. A check that fails must not leave the tests
// behind it another server.
#pragma once

#include <doctest/doctest.h>

#include <exception>
#include <string>
#include <utility>

namespace sluice::test {

template <class Server>
class Meanwhile {
 public:
  Meanwhile(Server& server, const std::string& statement, std::string afterwards) : server_(server), afterwards_(std::move(afterwards)) {
    server_.query(statement);
  }
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;
  ~Meanwhile() {
    try {
      server_.query(afterwards_);
    } catch (const std::exception& e) {
      FAIL_CHECK(std::string(e.what()));
    }
  }

 private:
  Server& server_;
  std::string afterwards_;
};

}  // namespace sluice::test
