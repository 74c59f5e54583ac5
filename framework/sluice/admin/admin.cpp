#include <sluice/admin/admin.hpp>

#include <sluice/admin/api.hpp>
#include <sluice/core/log.hpp>
#include <sluice/core/text.hpp>
#include <sluice/http/server.hpp>

#include <malloc.h>
#include <signal.h>
#include <boost/asio/signal_set.hpp>
#include <optional>
#include <sluice/core/error.hpp>

namespace sluice::admin {
namespace {

// Modest: few clients, small bodies; a deadline above the one that a command has for the master's answer.
http::Limits limits() {
  http::Limits limits;
  limits.max_body = 64 << 10;
  limits.max_header = 8 << 10;
  limits.max_connections = 64;
  limits.body_timeout = 10s;
  limits.request_timeout = Api::command_timeout + 5s;
  return limits;
}

}  // namespace

int run(const Inputs& inputs) {
  // Large pages of metrics go back to the system at once instead of growing the heap for good.
  ::mallopt(M_MMAP_THRESHOLD, 64 << 10);
  ::mallopt(M_TRIM_THRESHOLD, 64 << 10);
  ::signal(SIGINT, SIG_IGN);  // a terminal's ^C is for the master; it ends us when it is done

  asio::io_context loop(1);
  asio::signal_set signals(loop, SIGTERM);
  signals.async_wait([&loop](error_code error, int) {
    if (!error) loop.stop();
  });
  MasterChannel master(loop, inputs.channel, [&loop] { loop.stop(); });
  Api api(*inputs.segment, *inputs.config, master);

  // A server for each: whoever fills the admin address cannot keep the control socket from answering.
  http::Server control(
      loop, [&api](http::Request request) { return api.trusted(std::move(request)); }, limits());
  std::optional<http::Server> address;
  if (inputs.control_listener >= 0) control.listen(inputs.control_listener);
  if (inputs.admin_listener >= 0) {
    address.emplace(
        loop, [&api](http::Request request) { return api.guarded(std::move(request)); }, limits());
    address->listen(inputs.admin_listener);
  }
  for (;;) {
    try {
      loop.run();
      return to_int(ExitCode::done);
    } catch (const std::exception& e) {  // one request's trouble must not take the others along
      log::error(text("unexpected in the admin process: ", e.what()));
    }
  }
}

}  // namespace sluice::admin
