#include <sluice/admin/command.hpp>

#include <sluice/admin/presentable.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

namespace sluice::admin {
namespace {

[[noreturn]] void usage(const std::string& reason) { throw ExitError(ExitCode::usage, reason); }

void only_keys(const nlohmann::json& body, std::initializer_list<std::string_view> known) {
  if (!body.is_object()) usage("the body must be a JSON object");
  for (const auto& item : body.items()) {
    if (std::find(known.begin(), known.end(), item.key()) != known.end()) continue;
    const std::string_view near = closest(item.key(), known.begin(), known.end());
    usage(text("unknown key \"", item.key(), "\"", near.empty() ? "" : "; did you mean \"", near, near.empty() ? "" : "\"?"));
  }
}

bool flag(const nlohmann::json& body, const char* key) {
  const auto it = body.find(key);
  if (it == body.end()) return false;
  if (!it->is_boolean()) usage(text("\"", key, "\" must be true or false"));
  return it->get<bool>();
}

std::uint32_t server_index(const shm::Segment& segment, const std::string& name) {
  std::vector<std::string_view> servers;
  std::string list;
  for (const shm::Server& server : segment.servers()) {
    if (server.name == name) return static_cast<std::uint32_t>(servers.size());
    list += text(servers.empty() ? "" : ", ", server.name);
    servers.push_back(server.name);
  }
  if (servers.empty()) usage("no pool is configured, so there is no budget");
  const std::string_view near = closest(name, servers.data(), servers.data() + servers.size());
  usage(text("unknown server \"", presentable(name), "\"", near.empty() ? "." : text("; did you mean \"", near, "\"?"), " This instance has: ", list));
}

std::uint32_t kind_index(const shm::Segment& segment, const std::string& name) {
  const shm::Header& header = segment.header();
  std::vector<std::string_view> kinds;
  std::string list;
  for (std::uint32_t i = 0; i < header.kinds; ++i) {
    if (segment.kind_name(i) == name) return i;
    kinds.push_back(segment.kind_name(i));
    list += text(i ? ", " : "", kinds.back());
  }
  const std::string_view near = closest(name, kinds.data(), kinds.data() + kinds.size());
  usage(text("unknown worker kind \"", name, "\"", near.empty() ? "." : text("; did you mean \"", near, "\"?"), " This application has: ", list));
}

}  // namespace

shm::Message scale_command(const shm::Segment& segment, const nlohmann::json& body) {
  only_keys(body, {"kind", "value", "relative"});
  shm::Message message;
  message.type = shm::MessageType::scale;
  if (const auto kind = body.find("kind"); kind != body.end()) {
    if (!kind->is_string()) usage("\"kind\" must be a string");
    message.slot = kind_index(segment, kind->get<std::string>());
  }
  message.flag = flag(body, "relative") ? 1 : 0;
  const auto value = body.find("value");
  if (value == body.end()) usage("\"value\" is missing: the number of workers");
  if (!value->is_number_integer()) usage("\"value\" must be an integer");
  // Slots are fixed at start; the bound keeps sums in the master far from overflow and the message about it readable.
  constexpr std::int64_t bound = 1'000'000;
  const bool huge = value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(bound);
  message.value = huge ? bound + 1 : value->get<std::int64_t>();
  if (message.value > bound || message.value < -bound) usage(text("\"value\" must be between -", bound, " and ", bound));
  if (message.flag == 0 && message.value < 0) usage("\"value\" must not be negative unless \"relative\" is true");
  return message;
}

shm::Message budget_command(const shm::Segment& segment, const nlohmann::json& body) {
  only_keys(body, {"server", "total"});
  shm::Message message;
  message.type = shm::MessageType::set_budget;
  const auto server = body.find("server");
  if (server == body.end() || !server->is_string()) usage("\"server\" must name a server");
  message.slot = server_index(segment, server->get<std::string>());
  const auto total = body.find("total");
  if (total == body.end()) usage("\"total\" is missing: a number of connections, or \"auto\" for what is configured");
  if (*total == "auto") return message;
  constexpr std::int64_t most = 1'000'000;
  if (!total->is_number_integer()) usage("\"total\" must be a number of connections, or \"auto\" for what is configured");
  const bool huge = total->is_number_unsigned() && total->get<std::uint64_t>() > static_cast<std::uint64_t>(most);
  message.value = huge ? most + 1 : total->get<std::int64_t>();
  if (message.value < 1 || message.value > most) usage(text("\"total\" must be between 1 and ", most));
  return message;
}

shm::Message restart_command(const shm::Segment& segment, const nlohmann::json& body) {
  shm::Message message;
  message.type = shm::MessageType::restart;
  if (body.is_null()) return message;
  only_keys(body, {"kind", "slot"});
  const auto kind = body.find("kind"), slot = body.find("slot");
  if (kind != body.end() && slot != body.end()) usage("\"kind\" and \"slot\" exclude each other");
  if (kind != body.end()) {
    if (!kind->is_string()) usage("\"kind\" must be a string");
    message.flag = 1;
    message.slot = kind_index(segment, kind->get<std::string>());
  }
  if (slot != body.end()) {
    const std::uint32_t slots = segment.header().max_workers;
    if (!slot->is_number_integer() || slot->get<std::int64_t>() < 0 || slot->get<std::int64_t>() >= slots) usage(text("\"slot\" must be the number of a worker, between 0 and ", slots - 1));
    message.flag = 2;
    message.slot = slot->get<std::uint32_t>();
  }
  return message;
}

shm::Message stop_command(const nlohmann::json& body) {
  if (!body.is_null()) only_keys(body, {"fast"});
  shm::Message message;
  message.type = shm::MessageType::stop_instance;
  message.flag = !body.is_null() && flag(body, "fast") ? 1 : 0;
  return message;
}

http::Response error_response(unsigned status, std::string_view reason, int code) {
  return http::Response::json({{"error", {{"reason", reason}, {"code", code}}}}, status);
}

unsigned status_for(int code) noexcept {
  switch (code) {
    case to_int(ExitCode::usage): return 400;
    case to_int(ExitCode::config): return 409;
    case to_int(ExitCode::unavailable):
    case to_int(ExitCode::temporary): return 503;
    default: return 500;
  }
}

}  // namespace sluice::admin
