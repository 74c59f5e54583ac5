#include <sluice/admin/client.hpp>

#include <sluice/admin/arguments.hpp>
#include <sluice/admin/discovery.hpp>
#include <sluice/admin/statements.hpp>
#include <sluice/admin/tables.hpp>
#include <sluice/admin/translate.hpp>
#include <sluice/admin/what_if.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/client.hpp>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

namespace sluice::admin {
namespace {

using nlohmann::json;

// Room on top of the graceful time: fast end, reaping, unlinking.
constexpr Duration stop_margin = 10s;

// What the server answered with an error status, as the exit code and the reason that it carries.
[[noreturn]] void refuse(const http::Response& response) {
  const json body = json::parse(response.body, nullptr, false);
  const json error = body.is_object() ? body.value("error", json()) : json();
  std::string reason = text("the instance answered ", response.status, " ", http::reason_phrase(response.status));
  int code = to_int(response.status == 400 || response.status == 404 ? ExitCode::usage
                    : response.status == 503                         ? ExitCode::unavailable
                                                                     : ExitCode::software);
  if (error.is_object()) {
    if (const auto it = error.find("reason"); it != error.end() && it->is_string()) reason = it->get<std::string>();
    if (const auto it = error.find("code"); it != error.end() && it->is_number_integer()) code = it->get<int>();
  }
  throw ExitError(static_cast<ExitCode>(code > 0 && code < 256 ? code : to_int(ExitCode::software)), reason);
}

class Session {
 public:
  Session(std::string socket, Duration timeout) : socket_(std::move(socket)), timeout_(timeout) {}

  const std::string& socket() const { return socket_; }
  http::Response fetch(const std::string& method, const std::string& target, const std::string& body = "") const {
    return http::fetch(text("unix:", socket_), method, target, body, timeout_);
  }
  json get(const std::string& target) const { return parsed(checked(fetch("GET", target))); }
  json post(const std::string& target, const json& body) const { return parsed(checked(fetch("POST", target, body.dump()))); }

  static http::Response checked(http::Response response) {
    if (response.status >= 400) refuse(response);
    return response;
  }
  static json parsed(const http::Response& response) {
    json body = json::parse(response.body, nullptr, false);
    if (body.is_discarded()) throw Error("the answer is no JSON; is this the control socket of an instance?");
    return body;
  }

 private:
  std::string socket_;
  Duration timeout_;
};

void print(const Invocation& asked, const json& answer, std::string (*human)(const json&)) {
  if (asked.json) {
    std::cout << answer.dump(2) << '\n';
  } else {
    std::cout << human(answer);
  }
}

std::string said(const json& answer) { return answer.value("text", "done") + "\n"; }

int scale(const Session& session, const Invocation& asked) {
  const ScaleTarget target = parse_scale(asked.values.front());
  json body = {{"value", target.value}, {"relative", target.relative}};
  if (!target.kind.empty()) body["kind"] = target.kind;
  print(asked, session.post("/api/scale", body), said);
  return 0;
}

int budget(const Session& session, const Invocation& asked) {
  if (const auto target = parse_budget_set(asked)) {
    const json body = {{"server", target->server}, {"total", target->total ? json(*target->total) : json("auto")}};
    print(asked, session.post("/api/budget", body), said);
    return 0;
  }
  const json answer = session.get("/api/budget" + what_if_query(asked));
  print(asked, answer, budget_text);
  const bool refused = std::any_of(answer.begin(), answer.end(), [](const json& server) { return server.value("refused", false); });
  return refused ? to_int(ExitCode::config) : 0;
}

int health(const Session& session, const Invocation& asked) {
  const http::Response response = session.fetch("GET", "/health");
  const json answer = Session::parsed(response);
  if (!answer.contains("overall")) refuse(response);
  print(asked, answer, health_text);
  return response.status == 200 ? 0 : to_int(ExitCode::unavailable);
}

int stop(const Session& session, const Invocation& asked) {
  json answer;
  try {
    answer = session.post("/api/stop", {{"fast", asked.fast}});
  } catch (const ExitError&) {
    throw;
  } catch (const TimedOut&) {
    throw;
  } catch (const Error&) {
    // The admin process may be gone before its answer is written: what counts is whether the instance goes.
    if (asked.no_wait) throw;
    answer = {{"text", "stopping"}};
  }
  if (asked.no_wait) {
    print(asked, answer, said);
    return 0;
  }
  if (!asked.json) std::cerr << said(answer) << std::flush;
  const auto graceful = std::chrono::milliseconds(answer.value("graceful_timeout_ms", std::int64_t{30'000}));
  const Deadline deadline = Deadline::after((asked.fast ? Duration::zero() : Duration(graceful)) + stop_margin);
  while (accepts_connections(session.socket())) {
    if (deadline.passed(Clock::now()))
      throw ExitError(ExitCode::temporary,
                      text("the instance still listens on ", session.socket(), "; \"stop --fast\" does not wait for requests in flight"));
    std::this_thread::sleep_for(20ms);
  }
  answer["text"] = "stopped";
  print(asked, answer, said);
  return 0;
}

// Until the rolling restart that was begun is over; the admin process may be replaced meanwhile.
json finished_rollout(const Session& session, std::uint64_t number, Duration patience) {
  Deadline silence = Deadline::after(patience);
  for (;;) {
    try {
      const json rollout = session.get("/api/status").value("rollout", json());
      // The master answers before it publishes: until then this is the rollout before.
      const std::uint64_t seen = rollout.is_object() ? rollout.value("number", std::uint64_t{0}) : 0;
      if (seen > number) throw ExitError(ExitCode::temporary, "another rolling restart has begun since; \"status\" shows it");
      if (seen == number && seen != 0 && rollout.value("state", "") != "running") return rollout;
      silence = Deadline::after(patience);
    } catch (const ExitError&) {
      throw;
    } catch (const std::exception&) {
      if (silence.passed(Clock::now())) throw;
    }
    std::this_thread::sleep_for(50ms);
  }
}

int restart(const Session& session, const Invocation& asked) {
  const RestartTarget target = parse_restart(asked);
  json body = json::object();
  if (!target.kind.empty()) body["kind"] = target.kind;
  if (target.slot) body["slot"] = *target.slot;
  const json answer = session.post("/api/restart", body);
  if (asked.no_wait) {
    print(asked, answer, said);
    return 0;
  }
  if (!asked.json) std::cerr << said(answer) << std::flush;
  const json rollout = finished_rollout(session, answer.value("rollout", std::uint64_t{0}), asked.timeout);
  print(asked, rollout, said);
  return rollout.value("state", "") == "done" ? 0 : to_int(ExitCode::software);
}

int perform(const Session& session, const Invocation& asked) {
  const std::string& command = asked.command;
  if (command == "status") return print(asked, session.get("/api/status"), status_text), 0;
  if (command == "workers") return print(asked, session.get("/api/workers"), workers_text), 0;
  if (command == "pools") return print(asked, session.get("/api/pools"), pools_text), 0;
  if (command == "permits") return print(asked, session.get("/api/permits"), permits_text), 0;
  if (command == "statements") return print(asked, session.get("/api/statements"), statements_text), 0;
  if (command == "budget") return budget(session, asked);
  if (command == "scale") return scale(session, asked);
  if (command == "restart") return restart(session, asked);
  if (command == "stop") return stop(session, asked);
  if (command == "health") return health(session, asked);
  std::cout << Session::checked(session.fetch("GET", "/metrics")).body;
  return 0;
}

}  // namespace

int ctl(const std::string& application, const std::vector<std::string>& arguments) {
  const std::string program = application.empty() ? "sluicectl" : application + " ctl";
  const auto fail = [&](const char* reason, ExitCode code) {
    std::cerr << program << ": " << reason << '\n';
    return to_int(code);
  };
  try {
    const Invocation asked = parse_arguments(arguments);
    if (asked.help) {
      const std::string help = help_text(program, asked.command);
      (arguments.empty() ? std::cerr : std::cout) << help;
      return arguments.empty() ? to_int(ExitCode::usage) : to_int(ExitCode::done);
    }
    if (asked.command == "config") return translate(asked, program);
    if (asked.command == "budget" && !parse_budget_set(asked)) what_if_query(asked);
    if (asked.command == "scale") parse_scale(asked.values.front());  // a typing mistake needs no instance to be told
    if (asked.command == "restart") parse_restart(asked);
    const std::string socket = asked.control.empty() ? find_instance(application) : asked.control;
    const int code = perform(Session(socket, asked.timeout), asked);
    std::cout.flush();
    return code;
  } catch (const ExitError& e) {
    return fail(e.what(), e.code());
  } catch (const TimedOut& e) {
    return fail(e.what(), ExitCode::temporary);
  } catch (const std::exception& e) {
    return fail(e.what(), ExitCode::software);
  }
}

}  // namespace sluice::admin
