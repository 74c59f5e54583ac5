#include <sluice/config/binding.hpp>
#include <sluice/config/table.hpp>

namespace sluice::config {
namespace {

using binding::bind;
using binding::names;

constexpr std::string_view log_levels[] = {"debug", "info", "warning", "error", "off"};
constexpr std::string_view log_formats[] = {"text", "json"};
constexpr std::string_view tls_modes[] = {"", "disable", "require", "verify-ca", "verify-full"};

constexpr double minute = 60, hour = 3600, day = 86400;
constexpr double KiB = 1024, GiB = 1024. * 1024 * 1024;

Value app_get(const Config& config, std::string_view) { return config.app_json; }
void app_set(Config& config, std::string_view, const Value& value) { config.app_json = std::get<std::string>(value); }

constexpr Section section_table[] = {
    {"", "Instance", "What runs: the application, its workers and their limits in time."},
    {"restart.", "Restart", "How a slot whose worker died is filled again."},
    {"heartbeat.", "Heartbeat", "How a worker whose event loop stands still is noticed."},
    {"http.", "HTTP", "The server of workers of the HTTP kind."},
    {"admin.", "Admin", "The address of health, metrics and dashboard. --admin ADDRESS is short for --admin.listen."},
    {"log.", "Log", "What is logged, how and where. --log LEVEL is short for --log.level."},
    {"servers.<name>.", "Servers", "One entry per database server: the connection budget that all workers share."},
    {"pools.<name>.", "Pools", "One entry per pool; every worker has its own instance of it. Its limit comes from the server's budget."},
    {"pools.<name>.tls.", "Pools: TLS", "How a pool's connections are secured."},
    {"app.", "Application", "The application's own options, of any shape; the framework passes them on."},
};

constexpr Option option_table[] = {
    // Instance
    {.name = "name", .access = bind<&Config::name>, .doc = "The application's name, in process titles and logs. Empty: the executable's file name.", .high = 63},
    {.name = "instance", .access = bind<&Config::instance>,
     .doc = "The instance id: at most 40 bytes of A-Z a-z 0-9 _ . @ and -. Two running instances never share one. Empty: <name>@<host name>.", .high = 40},
    {.name = "preset", .type = Type::choice, .access = bind<&Config::preset>, .doc = "A set of defaults; anything written elsewhere wins over it.",
     .choices = names<Preset>, .common = true},
    {.name = "workers", .type = Type::workers, .access = bind<&Config::workers>,
     .doc = "How many workers: a number for the first kind, or counts by kind. auto (all, -1): one per usable CPU. default: what the application asks for.",
     .short_flag = 'w', .common = true},
    {.name = "max_workers", .type = Type::integer, .access = bind<&Config::max_workers>, .doc = "Worker slots; fixed at start, scaling stays within.", .low = 1, .high = 1024},
    {.name = "mode", .type = Type::choice, .access = bind<&Config::mode>,
     .doc = "process: a worker is a process. thread: workers are threads of one process.", .choices = names<Mode>, .common = true},
    {.name = "threads", .type = Type::integer, .access = bind<&Config::threads>, .doc = "Workers in each process, as its threads.", .zero = "decided by mode", .high = 256, .common = true},
    {.name = "foreground", .type = Type::boolean, .access = bind<&Config::foreground>, .doc = "One worker in this very process, no fork: for a debugger.", .common = true},
    {.name = "boot_timeout", .type = Type::duration, .access = bind<&Config::boot_timeout>, .doc = "A worker that is not ready within this time is replaced; waiting for a server does not count.",
     .low = 0.1, .high = day},
    {.name = "graceful_timeout", .type = Type::duration, .access = bind<&Config::graceful_timeout>, .doc = "How long a stopping worker may finish its work before it is ended.",
     .zero = "ended at once", .high = day, .development = "5s", .test = "5s"},
    {.name = "control", .access = bind<&Config::control>, .doc = "Path of the control socket. Empty: <instance>.sock in $XDG_RUNTIME_DIR or /tmp/sluice-<uid>.", .common = true},

    // Restart
    {.name = "restart.backoff_min", .type = Type::duration, .access = bind<&Config::restart, &Restart::backoff_min>, .doc = "The first wait before a restart; it doubles with each further death.",
     .low = 0.001, .high = hour},
    {.name = "restart.backoff_max", .type = Type::duration, .access = bind<&Config::restart, &Restart::backoff_max>, .doc = "The longest wait before a restart.", .low = 0.001, .high = day,
     .development = "2s", .test = "1s"},
    {.name = "restart.healthy_after", .type = Type::duration, .access = bind<&Config::restart, &Restart::healthy_after>,
     .doc = "A life at least this long resets the backoff; the restart after it is immediate.", .zero = "every life is healthy", .high = day},
    {.name = "restart.breaker_deaths", .type = Type::integer, .access = bind<&Config::restart, &Restart::breaker_deaths>,
     .doc = "This many deaths within breaker_window, and the slot is not started again.", .zero = "always started again", .high = 1000000},
    {.name = "restart.breaker_window", .type = Type::duration, .access = bind<&Config::restart, &Restart::breaker_window>, .doc = "The time in which breaker_deaths are counted.",
     .low = 0.1, .high = day},

    // Heartbeat
    {.name = "heartbeat.interval", .type = Type::duration, .access = bind<&Config::heartbeat, &Heartbeat::interval>, .doc = "How often a worker's event loop shows that it turns.",
     .low = 0.001, .high = minute},
    {.name = "heartbeat.hang_timeout", .type = Type::duration, .access = bind<&Config::heartbeat, &Heartbeat::hang_timeout>,
     .doc = "A worker whose event loop stood still this long is ended and replaced.", .low = 0.1, .high = day, .development = "10min"},

    // HTTP
    {.name = "http.listen", .type = Type::address, .access = bind<&Config::http, &Http::listen>, .doc = "Where requests are accepted; port 0 picks a free one.", .common = true},
    {.name = "http.max_body", .type = Type::bytes, .access = bind<&Config::http, &Http::max_body>, .doc = "The largest request body; larger ones are answered with 413.",
     .zero = "requests have no body", .high = 1024 * GiB},
    {.name = "http.max_header", .type = Type::bytes, .access = bind<&Config::http, &Http::max_header>, .doc = "The largest request head; larger ones are answered with 431.",
     .low = KiB, .high = 1024 * KiB},
    {.name = "http.max_connections", .type = Type::integer, .access = bind<&Config::http, &Http::max_connections>,
     .doc = "Open connections per worker; a worker that is full leaves new ones to its siblings.", .low = 1, .high = 1000000},
    {.name = "http.header_timeout", .type = Type::duration, .access = bind<&Config::http, &Http::header_timeout>, .doc = "How long a request's head may take to arrive.", .low = 0.001, .high = day},
    {.name = "http.body_timeout", .type = Type::duration, .access = bind<&Config::http, &Http::body_timeout>, .doc = "How long a request's body may take to arrive.", .low = 0.001, .high = day},
    {.name = "http.request_timeout", .type = Type::duration, .access = bind<&Config::http, &Http::request_timeout>,
     .doc = "How long a handler may take; past it the answer is 503.", .zero = "no limit", .high = day},
    {.name = "http.keep_alive_timeout", .type = Type::duration, .access = bind<&Config::http, &Http::keep_alive_timeout>,
     .doc = "How long a connection may wait for its next request.", .low = 0.001, .high = day},
    {.name = "http.drain_idle", .type = Type::duration, .access = bind<&Config::http, &Http::drain_idle>,
     .doc = "While the worker drains, a connection without a request is closed after this time.", .zero = "closed at once", .high = hour},

    // Admin
    {.name = "admin.listen", .type = Type::address, .access = bind<&Config::admin, &Admin::listen>, .doc = "Where health, metrics and dashboard are served; off: nowhere.",
     .may_be_off = true, .alias = "admin", .common = true},
    {.name = "admin.token", .access = bind<&Config::admin, &Admin::token>, .doc = "The bearer token that allows changes over the admin address. Empty: it is read-only.",
     .secrecy = Secrecy::hidden, .alias = "admin_token"},

    // Log
    {.name = "log.level", .type = Type::choice, .access = bind<&Config::log, &Log::level>, .doc = "The least important level that is logged.", .choices = log_levels,
     .development = "debug", .test = "warning", .alias = "log", .common = true},
    {.name = "log.format", .type = Type::choice, .access = bind<&Config::log, &Log::format>, .doc = "text for people, json for collectors: one object a line.", .choices = log_formats},
    {.name = "log.file", .access = bind<&Config::log, &Log::file>, .doc = "The file that is appended to; SIGUSR1 opens it anew. Empty: standard error."},

    // Servers
    {.name = "servers.<name>.total", .type = Type::integer, .access = bind<&Config::servers, &Server::total>,
     .doc = "Connections that this server may get, over all instances. auto: the server is asked. For SQLite auto is 4 times max_workers.", .absent = "auto", .low = 1, .high = 65536},
    {.name = "servers.<name>.headroom", .type = Type::number, .access = bind<&Config::servers, &Server::headroom>, .doc = "The share of the server's connections that auto leaves free.",
     .high = 1, .below_high = true},
    {.name = "servers.<name>.instances", .type = Type::integer, .access = bind<&Config::servers, &Server::instances>,
     .doc = "Instances that share the server: the most alive at once. The total is divided by it.", .low = 1, .high = 10000},
    {.name = "servers.<name>.floor", .type = Type::integer, .access = bind<&Config::servers, &Server::floor>, .doc = "Connections that every worker can always get back.", .low = 1, .high = 1024},
    {.name = "servers.<name>.elastic", .type = Type::boolean, .access = bind<&Config::servers, &Server::elastic>,
     .doc = "Lend a worker's idle share to one that needs it. Not available yet: leave it false."},
    {.name = "servers.<name>.max_connecting", .type = Type::integer, .access = bind<&Config::servers, &Server::max_connecting>,
     .doc = "Connections that are being opened at the same time, over all workers.", .low = 1, .high = 1024},
    {.name = "servers.<name>.capacity", .type = Type::integer, .access = bind<&Config::servers, &Server::capacity>,
     .doc = "Rows of the permit table: the largest budget that can be set while the instance runs.", .low = 1, .high = 65536},
    {.name = "servers.<name>.via", .type = Type::choice, .access = bind<&Config::servers, &Server::via>,
     .doc = "proxy: a connection pooler such as PgBouncer is in between; the budget counts its clients and needs a number as total.", .choices = names<Via>},

    // Pools
    {.name = "pools.<name>.url", .access = bind<&Config::pools, &Pool::url>, .doc = "Where to connect: postgres://user@host:port/database or sqlite:file.db. DATABASE_URL sets it for main.",
     .secrecy = Secrecy::url, .common = true},
    {.name = "pools.<name>.server", .access = bind<&Config::pools, &Pool::server>,
     .doc = "The server whose budget the pool draws on. Empty: pools with equal scheme, host and port share one, named after the first pool.", .high = 63},
    {.name = "pools.<name>.max", .type = Type::integer, .access = bind<&Config::pools, &Pool::max>, .doc = "Connections per worker. limit: as many as the budget gives the worker.",
     .absent = "limit", .low = 1, .high = 65536, .common = true},
    {.name = "pools.<name>.min_idle", .type = Type::integer, .access = bind<&Config::pools, &Pool::min_idle>, .doc = "Idle connections that are kept open.", .high = 65536},
    {.name = "pools.<name>.warm_up", .type = Type::boolean, .access = bind<&Config::pools, &Pool::warm_up>, .doc = "Open the first connection before the worker counts as ready.",
     .development = "false"},
    {.name = "pools.<name>.acquire_timeout", .type = Type::duration, .access = bind<&Config::pools, &Pool::acquire_timeout>, .doc = "How long a caller waits for a connection.",
     .zero = "without end", .high = day, .test = "2s"},
    {.name = "pools.<name>.queue_limit", .type = Type::integer, .access = bind<&Config::pools, &Pool::queue_limit>, .doc = "Callers that may wait; one more gets an error at once.",
     .zero = "nobody waits", .absent = "unbounded", .high = 1000000},
    {.name = "pools.<name>.connect_timeout", .type = Type::duration, .access = bind<&Config::pools, &Pool::connect_timeout>, .doc = "How long one attempt to connect may take.",
     .low = 0.001, .high = hour, .test = "2s"},
    {.name = "pools.<name>.connect_backoff_min", .type = Type::duration, .access = bind<&Config::pools, &Pool::connect_backoff_min>, .doc = "The first wait after a failed attempt.",
     .low = 0.001, .high = hour},
    {.name = "pools.<name>.connect_backoff_max", .type = Type::duration, .access = bind<&Config::pools, &Pool::connect_backoff_max>, .doc = "The longest wait between attempts.",
     .low = 0.001, .high = day},
    {.name = "pools.<name>.idle_timeout", .type = Type::duration, .access = bind<&Config::pools, &Pool::idle_timeout>, .doc = "An idle connection is closed after this time.",
     .zero = "never", .high = 365 * day},
    {.name = "pools.<name>.soft_idle_timeout", .type = Type::duration, .access = bind<&Config::pools, &Pool::soft_idle_timeout>,
     .doc = "An idle connection is closed after this time while more than min_idle are idle.", .zero = "never", .high = 365 * day},
    {.name = "pools.<name>.max_lifetime", .type = Type::duration, .access = bind<&Config::pools, &Pool::max_lifetime>, .doc = "A connection is replaced at this age.",
     .zero = "never", .high = 365 * day},
    {.name = "pools.<name>.lifetime_jitter", .type = Type::number, .access = bind<&Config::pools, &Pool::lifetime_jitter>,
     .doc = "Each lifetime is shortened by a random share up to this, so that connections do not end together.", .high = 1, .below_high = true},
    {.name = "pools.<name>.max_uses", .type = Type::integer, .access = bind<&Config::pools, &Pool::max_uses>, .doc = "A connection is replaced after this many leases.",
     .zero = "never", .high = 1e15},
    {.name = "pools.<name>.validate_after", .type = Type::duration, .access = bind<&Config::pools, &Pool::validate_after>,
     .doc = "A connection that was idle this long is checked before it is leased.", .zero = "always checked", .high = 365 * day},
    {.name = "pools.<name>.keepalive", .type = Type::duration, .access = bind<&Config::pools, &Pool::keepalive>, .doc = "An idle connection is checked this often.", .zero = "never", .high = 365 * day},
    {.name = "pools.<name>.validation_query", .access = bind<&Config::pools, &Pool::validation_query>, .doc = "The statement of a check. Empty: the driver's cheapest."},
    {.name = "pools.<name>.reset_on_return", .type = Type::choice, .access = bind<&Config::pools, &Pool::reset_on_return>,
     .doc = "Whether a returned connection's session is reset; auto: if it was changed.", .choices = names<ResetOnReturn>},
    {.name = "pools.<name>.reuse", .type = Type::choice, .access = bind<&Config::pools, &Pool::reuse>,
     .doc = "Which idle connection is leased next: lifo the last used, fifo the longest idle.", .choices = names<Reuse>},
    {.name = "pools.<name>.close_timeout", .type = Type::duration, .access = bind<&Config::pools, &Pool::close_timeout>,
     .doc = "How long a close may take to be confirmed; past it the permit is quarantined.", .low = 0.001, .high = hour},
    {.name = "pools.<name>.statement_timeout", .type = Type::duration, .access = bind<&Config::pools, &Pool::statement_timeout>,
     .doc = "How long a statement may run; within(…) at the call wins over it.", .zero = "no limit", .high = day, .test = "10s"},
    {.name = "pools.<name>.statement_cache", .type = Type::integer, .access = bind<&Config::pools, &Pool::statement_cache>, .doc = "Prepared statements kept per connection.",
     .zero = "none", .high = 65536},
    {.name = "pools.<name>.tls.mode", .type = Type::choice, .access = bind<&Config::pools, &Pool::tls_mode>,
     .doc = "verify-full checks certificate and host name, verify-ca the certificate, require only encrypts. Empty: what the url says.", .choices = tls_modes},
    {.name = "pools.<name>.tls.ca", .access = bind<&Config::pools, &Pool::tls_ca>, .doc = "File with the certificates that are trusted. Empty: the system's."},
    {.name = "pools.<name>.tls.cert", .access = bind<&Config::pools, &Pool::tls_cert>, .doc = "File with the client's certificate; needs key."},
    {.name = "pools.<name>.tls.key", .access = bind<&Config::pools, &Pool::tls_key>, .doc = "File with the client's private key; needs cert."},

    // Application
    {.name = "app.<option>", .type = Type::json, .access = {app_get, app_set}, .doc = "An option of the application itself; nested ones by further dots: --app.mail.sender."},
};

}  // namespace

std::span<const Option> options() { return option_table; }
std::span<const Section> sections() { return section_table; }

}  // namespace sluice::config
