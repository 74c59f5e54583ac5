#include "watch.hpp"

#include <sluice/http/client.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <nlohmann/json.hpp>

namespace chaos {

using namespace std::chrono_literals;

SessionPeak::SessionPeak(Database& database) {
  thread_ = std::thread([this, &database] {
    while (!stopping_) {
      try {
        most_ = std::max(most_.load(), database.sessions());
        ++samples_;
      } catch (const std::exception&) {
        std::this_thread::sleep_for(20ms);  // it is down
      }
      std::this_thread::sleep_for(2ms);
    }
  });
}

void SessionPeak::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

TotalsWatch::TotalsWatch(std::string control) : control_(std::move(control)) {
  thread_ = std::thread([this] {
    while (!stopping_) {
      try {
        look();
      } catch (const std::exception&) {
        // The admin process or the whole instance is dead just now.
      }
      std::this_thread::sleep_for(50ms);
    }
  });
}

void TotalsWatch::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void TotalsWatch::look() {
  const auto response = sluice::http::fetch("unix:" + control_, "GET", "/api/status", "", 1s);
  if (response.status != 200) return;
  const auto status = nlohmann::json::parse(response.body);
  if (const auto master = status.at("master_pid").get<std::int64_t>(); master != master_) {
    master_ = master;
    ++masters_;
    last_.clear();
  }
  for (const auto& total : status.at("totals").items()) {
    const auto now = total.value().get<std::uint64_t>();
    std::uint64_t& before = last_[total.key()];
    if (now < before) went_back_ += total.key() + " went from " + std::to_string(before) + " to " + std::to_string(now) + "\n";
    before = now;
  }
  ++samples_;
}

}  // namespace chaos
