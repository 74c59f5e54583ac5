// Pools of Python.
#include <sluice/config/translate_table.hpp>

namespace sluice::config {
namespace {

using C = Conversion;

constexpr std::string_view per_worker = "counts per worker here; what all workers together may open is servers.<name>.total";
constexpr std::string_view total = "the same meaning: connections that are kept open, leased ones included";
constexpr std::string_view retried = "a loop around the call, with a budget that keeps retries from multiplying load";

constexpr ForeignOption sqlalchemy_options[] = {
    {"pool_size", "", "pools.<name>.max", C::sum, "0=limit", "max is pool_size + max_overflow; it counts per worker, servers.<name>.total for all of them"},
    {"max_overflow", "", "pools.<name>.max", C::sum, "-1=limit",
     "what overflows is not closed at its return but after idle_timeout, so that a burst does not reconnect"},
    {"pool_timeout", "s", "pools.<name>.acquire_timeout", C::duration, "", ""},
    {"pool_recycle", "s", "pools.<name>.max_lifetime", C::duration, "-1=0s", "shortened at random by lifetime_jitter, also on busy pools"},
    {"pool_pre_ping", "", "pools.<name>.validate_after", C::same, "true=0s false=",
     "true: checked before every lease; 1s (the default) skips connections that have just worked and costs nothing under load"},
    {"pool_use_lifo", "", "pools.<name>.reuse", C::same, "true=lifo false=fifo", ""},
    {"pool_reset_on_return", "", "pools.<name>.reset_on_return", C::same, "rollback=auto commit=auto true=auto none=never false=never",
     "auto resets a session that was changed; a transaction that was left open is always rolled back, never committed"},
    {"isolation_level", "", "db.begin(…)", C::code, "", "per transaction"},
    {"query_cache_size", "", "pools.<name>.statement_cache", C::same, "", "prepared statements per connection"},
    {"poolclass", "", "", C::none, "", "one pool for all; SQLite's writers take turns by themselves"},
    {"connect_args.connect_timeout", "s", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"connect_args.timeout", "s", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"connect_args.sslmode", "", "sslmode", C::parameter, "", ""},
    {"connect_args.check_same_thread", "", "", C::none, "", "SQLite is used from threads of its own; nothing to allow"},
    {"connect_args.application_name", "", "", C::none, "", "sessions are named <instance>:<slot>.<generation>, so that orphans can be found"},
    {"url", "", "pools.<name>.url", C::url, "", ""},
    {"sqlalchemy.url", "", "pools.<name>.url", C::url, "", ""},
    {"SQLALCHEMY_DATABASE_URI", "", "pools.<name>.url", C::url, "", ""},
    {"DATABASE_URL", "", "pools.<name>.url", C::url, "", ""},
    {"drivername", "", "pools.<name>.url", C::scheme, "", ""},
    {"host", "", "pools.<name>.url", C::host, "", ""},
    {"port", "", "pools.<name>.url", C::port, "", ""},
    {"username", "", "pools.<name>.url", C::user, "", ""},
    {"password", "", "pools.<name>.url", C::password, "", ""},
    {"database", "", "pools.<name>.url", C::database, "", ""},
    {"echo", "", "log.level", C::builtin, "", "its level debug"},
    {"echo_pool", "", "Pool::on_event()", C::code, "", "or log.level: debug"},
    {"logging_name", "", "", C::none, "", "a pool is named by its key under pools"},
    {"pool_logging_name", "", "", C::none, "", "a pool is named by its key under pools"},
    {"future", "", "", C::none, "", "a switch between versions of that library"},
    {"hide_parameters", "", "log.level", C::builtin, "", "values of parameters are not logged unless asked for"},
};

constexpr ForeignOption psycopg2_options[] = {
    {"maxconn", "", "pools.<name>.max", C::same, "", per_worker},
    {"minconn", "", "pools.<name>.min_idle", C::same, "", total},
    {"connect_timeout", "s", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"dsn", "", "pools.<name>.url", C::url, "", ""},
    {"url", "", "pools.<name>.url", C::url, "", ""},
    {"host", "", "pools.<name>.url", C::host, "", ""},
    {"port", "", "pools.<name>.url", C::port, "", ""},
    {"user", "", "pools.<name>.url", C::user, "", ""},
    {"password", "", "pools.<name>.url", C::password, "", ""},
    {"database", "", "pools.<name>.url", C::database, "", ""},
    {"dbname", "", "pools.<name>.url", C::database, "", ""},
    {"sslmode", "", "sslmode", C::parameter, "", ""},
    {"sslrootcert", "", "pools.<name>.tls.ca", C::same, "", ""},
    {"options", "", "options", C::parameter, "", ""},
    {"application_name", "", "", C::none, "", "sessions are named <instance>:<slot>.<generation>, so that orphans can be found"},
    {"keepalives", "", "TCP keep-alive", C::builtin, "", "every driver socket has it on"},
    {"keepalives_idle", "", "TCP keep-alive", C::builtin, "", "with the system's timing"},
    {"cursor_factory", "", "rows.as<T>()", C::code, "", ""},
};

constexpr ForeignOption psycopg_pool_options[] = {
    {"max_size", "", "pools.<name>.max", C::same, "", per_worker},
    {"min_size", "", "pools.<name>.min_idle", C::same, "", total},
    {"timeout", "s", "pools.<name>.acquire_timeout", C::duration, "", ""},
    {"max_waiting", "", "pools.<name>.queue_limit", C::same, "0=unbounded", "0 means unbounded there; here nobody waits for others then"},
    {"max_lifetime", "s", "pools.<name>.max_lifetime", C::duration, "", ""},
    {"max_idle", "s", "pools.<name>.soft_idle_timeout", C::duration, "", "closes idle connections while more than min_idle are open"},
    {"reconnect_timeout", "s", "connect_backoff_max", C::builtin, "", "connecting is tried for ever, with backoff; callers learn the cause in time"},
    {"num_workers", "", "servers.<name>.max_connecting", C::same, "", "connects under way at once, over all workers"},
    {"open", "", "pools.<name>.warm_up", C::same, "", "before the worker counts as ready"},
    {"check", "", "pools.<name>.validate_after", C::code, "", "connections idle for longer than it are checked before they are leased"},
    {"configure", "", "after_connect", C::code, "", "a hook of the pool"},
    {"reset", "", "pools.<name>.reset_on_return", C::code, "", ""},
    {"reconnect_failed", "", "Pool::on_event()", C::code, "", ""},
    {"name", "", "", C::none, "", "a pool is named by its key under pools"},
    {"kwargs.connect_timeout", "s", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"kwargs.autocommit", "", "db.query()", C::code, "", "autocommit; a transaction is db.begin()"},
    {"kwargs.row_factory", "", "rows.as<T>()", C::code, "", ""},
    {"kwargs.prepare_threshold", "", "pools.<name>.statement_cache", C::code, "", "statements are prepared at once and cached"},
    {"conninfo", "", "pools.<name>.url", C::url, "", ""},
    {"url", "", "pools.<name>.url", C::url, "", ""},
    {"host", "", "pools.<name>.url", C::host, "", ""},
    {"port", "", "pools.<name>.url", C::port, "", ""},
    {"user", "", "pools.<name>.url", C::user, "", ""},
    {"password", "", "pools.<name>.url", C::password, "", ""},
    {"dbname", "", "pools.<name>.url", C::database, "", ""},
};

constexpr ForeignOption django_options[] = {
    {"ENGINE", "", "pools.<name>.url", C::scheme, "", ""},
    {"HOST", "", "pools.<name>.url", C::host, "", ""},
    {"PORT", "", "pools.<name>.url", C::port, "", ""},
    {"USER", "", "pools.<name>.url", C::user, "", ""},
    {"PASSWORD", "", "pools.<name>.url", C::password, "", ""},
    {"NAME", "", "pools.<name>.url", C::database, "", ""},
    {"CONN_MAX_AGE", "s", "pools.<name>.max_lifetime", C::duration, "0=", "0 closes after each request there; a pool keeps connections. None: no limit"},
    {"CONN_HEALTH_CHECKS", "", "pools.<name>.validate_after", C::same, "true=0s false=", "true: checked before every lease"},
    {"ATOMIC_REQUESTS", "", "db.begin()", C::code, "", "a transaction is a scope in the handler"},
    {"AUTOCOMMIT", "", "db.query()", C::code, "", "autocommit; a transaction is db.begin()"},
    {"OPTIONS.pool.max_size", "", "pools.<name>.max", C::same, "", per_worker},
    {"OPTIONS.pool.min_size", "", "pools.<name>.min_idle", C::same, "", total},
    {"OPTIONS.pool.timeout", "s", "pools.<name>.acquire_timeout", C::duration, "", ""},
    {"OPTIONS.pool.max_lifetime", "s", "pools.<name>.max_lifetime", C::duration, "", ""},
    {"OPTIONS.pool.max_idle", "s", "pools.<name>.soft_idle_timeout", C::duration, "", "closes idle connections while more than min_idle are open"},
    {"OPTIONS.pool.max_waiting", "", "pools.<name>.queue_limit", C::same, "0=unbounded", "0 means unbounded there; here nobody waits for others then"},
    {"OPTIONS.pool", "", "pooling", C::builtin, "", "always on"},
    {"OPTIONS.connect_timeout", "s", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"OPTIONS.timeout", "s", "pools.<name>.statement_timeout", C::duration, "", "SQLite's busy timeout; writers take turns by themselves"},
    {"OPTIONS.sslmode", "", "sslmode", C::parameter, "", ""},
    {"OPTIONS.charset", "", "", C::none, "", "texts are UTF-8"},
    {"DISABLE_SERVER_SIDE_CURSORS", "", "servers.<name>.via", C::code, "", "behind a pooling proxy set servers.<name>.via: proxy and its total"},
    {"TIME_ZONE", "", "", C::none, "", "timestamps are instants"},
};

constexpr ForeignOption redis_py_options[] = {
    {"max_connections", "", "pools.<name>.max", C::same, "", per_worker},
    {"timeout", "s", "pools.<name>.acquire_timeout", C::duration, "", "of a BlockingConnectionPool"},
    {"socket_timeout", "s", "pools.<name>.statement_timeout", C::duration, "", ""},
    {"socket_connect_timeout", "s", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"socket_keepalive", "", "TCP keep-alive", C::builtin, "", "every driver socket has it on"},
    {"socket_keepalive_options", "", "TCP keep-alive", C::builtin, "", "with the system's timing"},
    {"health_check_interval", "s", "pools.<name>.keepalive", C::duration, "", ""},
    {"retry_on_timeout", "", "pool::RetryLoop", C::code, "", retried},
    {"decode_responses", "", "", C::none, "", "texts are bytes until they are read as something"},
    {"skip_full_coverage_check", "", "", C::none, "", "clusters are a group's matter, which is a later step"},
    {"host", "", "pools.<name>.url", C::host, "", ""},
    {"port", "", "pools.<name>.url", C::port, "", ""},
    {"username", "", "pools.<name>.url", C::user, "", ""},
    {"password", "", "pools.<name>.url", C::password, "", ""},
    {"db", "", "pools.<name>.url", C::database, "", ""},
    {"url", "", "pools.<name>.url", C::url, "", ""},
};

constexpr ForeignOption urllib3_options[] = {
    {"pool_maxsize", "", "pools.<name>.max", C::same, "", per_worker},
    {"maxsize", "", "pools.<name>.max", C::same, "", per_worker},
    {"pool_connections", "", "", C::none, "", "one pool for each server, by name: hosts are not discovered by use"},
    {"num_pools", "", "", C::none, "", "one pool for each server, by name: hosts are not discovered by use"},
    {"pool_block", "", "pools.<name>.queue_limit", C::same, "true= false=",
     "the budget is hard: nothing opens connections beyond it. true waits, as here; false opens more there and waits here"},
    {"block", "", "pools.<name>.queue_limit", C::same, "true= false=", "the budget is hard: nothing opens connections beyond it"},
    {"timeout", "s", "pools.<name>.statement_timeout", C::duration, "", "of one request"},
    {"max_retries", "", "pool::RetryLoop", C::code, "", retried},
    {"total", "", "pool::RetryLoop", C::code, "", "RetryPolicy::attempts is total + 1"},
    {"backoff_factor", "s", "pool::RetryLoop", C::code, "", "RetryPolicy::backoff_min; it doubles, with full jitter"},
    {"status_forcelist", "", "pool::RetryLoop", C::code, "", "the classification is the caller's"},
    {"allowed_methods", "", "pool::RetryLoop", C::code, "", "RetryPolicy::idempotent"},
    {"raise_on_status", "", "pool::RetryLoop", C::code, "", ""},
    {"base_url", "", "pools.<name>.url", C::url, "", ""},
    {"url", "", "pools.<name>.url", C::url, "", ""},
    {"host", "", "pools.<name>.url", C::host, "", ""},
    {"port", "", "pools.<name>.url", C::port, "", ""},
};

constexpr Ecosystem all[] = {
    {"sqlalchemy", "", "SQLAlchemy (Python)", "postgres", "create_engine create_async_engine engine_from_config URL.create SQLALCHEMY_ENGINE_OPTIONS engine_options", "",
     "", "postgres://localhost/app", sqlalchemy_options},
    {"psycopg2", "", "psycopg2.pool (Python)", "postgres", "SimpleConnectionPool ThreadedConnectionPool", "", "minconn maxconn dsn", "postgres://localhost/app",
     psycopg2_options},
    {"psycopg_pool", "psycopg psycopg3", "psycopg_pool (Python)", "postgres", "ConnectionPool AsyncConnectionPool NullConnectionPool", "", "conninfo",
     "postgres://localhost/app", psycopg_pool_options},
    {"django", "", "Django (Python)", "postgres", "DATABASES", "DATABASES", "", "postgres://localhost/app", django_options},
    {"redis-py", "redis", "redis-py (Python)", "redis", "ConnectionPool BlockingConnectionPool Redis RedisCluster from_url", "", "", "redis://localhost",
     redis_py_options},
    {"urllib3", "requests", "urllib3 and requests (Python)", "https", "HTTPAdapter PoolManager HTTPConnectionPool HTTPSConnectionPool Retry", "", "",
     "https://localhost", urllib3_options},
};

}  // namespace

std::span<const Ecosystem> python_ecosystems() { return all; }

}  // namespace sluice::config
