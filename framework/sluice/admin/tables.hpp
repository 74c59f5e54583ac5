// What `ctl` shows to humans: aligned tables of the API's JSON documents. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sluice::admin {

// Rows of cells under a header, columns aligned by width (numbers to the right), two spaces between, no trailing blanks.
std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);

std::string status_text(const nlohmann::json& status);
std::string workers_text(const nlohmann::json& workers);
std::string pools_text(const nlohmann::json& pools);
std::string permits_text(const nlohmann::json& permits);
std::string health_text(const nlohmann::json& health);

// 950 → "950ms", 12345 → "12.3s", 125000 → "2m05s", 7500000 → "2h05m", 200000000 → "2d07h"
std::string human_millis(double ms);
// 9830400 → "9.4M"
std::string human_bytes(double bytes);

}  // namespace sluice::admin
