// From the JSON body of a command to the master's fixed-size message. Pure; what is wrong is said with the exit code
// that `ctl` ends with.
#pragma once

#include <sluice/http/message.hpp>
#include <sluice/shm/message.hpp>
#include <sluice/shm/segment.hpp>

#include <nlohmann/json.hpp>
#include <string_view>

namespace sluice::admin {

// {"kind"?: "web", "value": 8, "relative"?: false}. Without a kind: the first one. Throws ExitError(usage).
shm::Message scale_command(const shm::Segment& segment, const nlohmann::json& body);
// {"server": "main", "total": 30 | "auto"}; "auto": as configured. Throws ExitError(usage); an unknown server is named with the known ones.
shm::Message budget_command(const shm::Segment& segment, const nlohmann::json& body);
// {}, {"kind": "web"} or {"slot": 3}; null means {}: every worker. Throws ExitError(usage).
shm::Message restart_command(const shm::Segment& segment, const nlohmann::json& body);
// {"fast"?: false}; null means {}. Throws ExitError(usage).
shm::Message stop_command(const nlohmann::json& body);

http::Response error_response(unsigned status, std::string_view reason, int code);
// The HTTP status for an exit code: 64 → 400, 78 → 409, 69 and 75 → 503, others 500.
unsigned status_for(int code) noexcept;

}  // namespace sluice::admin
