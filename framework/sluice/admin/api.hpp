// The HTTP API of the admin process: reads from the segment, commands through the master. docs/guides/control-api.md is
// its contract. One loop's own.
//
// Errors are {"error": {"reason", "code"}}; `code` is the exit code that `ctl` ends with.
#pragma once

#include <sluice/admin/master_channel.hpp>
#include <sluice/admin/pool_watch.hpp>
#include <sluice/admin/process_usage.hpp>
#include <sluice/config/config.hpp>
#include <sluice/http/message.hpp>
#include <sluice/http/router.hpp>
#include <sluice/shm/segment.hpp>

#include <string>

namespace sluice::admin {

class Api {
 public:
  Api(const shm::Segment& segment, const config::Config& config, MasterChannel& master, UsageReader usage = read_usage);

  // Every verb: for the control socket, whose file mode lets only our own user in.
  awaitable<http::Response> trusted(http::Request request);
  // GET and HEAD; other verbs only with the configured bearer token: for the admin address.
  awaitable<http::Response> guarded(http::Request request);

  // How long a command waits for the master.
  static constexpr Duration command_timeout = 5s;

 private:
  void get(const char* path, std::function<http::Response()> render);
  awaitable<http::Response> budget(http::Request request);
  awaitable<http::Response> set_budget(http::Request request);
  awaitable<http::Response> scale(http::Request request);
  awaitable<http::Response> restart(http::Request request);
  awaitable<http::Response> stop(http::Request request);
  awaitable<http::Response> command(shm::Message message, nlohmann::json answer);

  const shm::Segment& segment_;
  const config::Config& config_;
  MasterChannel& master_;
  UsageReader usage_;
  PoolWatch pools_;
  http::Router router_;
};

}  // namespace sluice::admin
