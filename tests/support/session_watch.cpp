#include "support/session_watch.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>

namespace sluice::test {

SessionWatch::SessionWatch(const std::string& superuser_url, std::string role) : role_(std::move(role)) {
  thread_ = std::thread([this, superuser_url] {
    try {
      watch(superuser_url);
    } catch (const std::exception& error) {
      broken_ = error.what();
    }
  });
}

SessionWatch::~SessionWatch() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

int SessionWatch::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  if (!broken_.empty()) throw std::runtime_error("the watch over sessions failed: " + broken_);
  if (samples_ == 0) throw std::runtime_error("the watch over sessions took no sample");
  return most_;
}

void SessionWatch::watch(const std::string& url) {
  using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
  using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;
  const Connection connection(PQconnectdb((url + (url.find('?') == std::string::npos ? "?" : "&") + "application_name=sluice-watch").c_str()), &PQfinish);
  if (PQstatus(connection.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection.get()));
  const char* parameters[] = {role_.c_str()};
  while (!stopping_) {
    const Result result(PQexecParams(connection.get(), "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", 1, nullptr, parameters, nullptr, nullptr, 0),
                        &PQclear);
    if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) throw std::runtime_error(PQerrorMessage(connection.get()));
    most_ = std::max(most_.load(), std::stoi(PQgetvalue(result.get(), 0, 0)));
    ++samples_;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace sluice::test
