// Pools of PHP, Java and Go, and gRPC's channels.
#include <sluice/config/translate_table.hpp>

namespace sluice::config {
namespace {

using C = Conversion;

constexpr std::string_view per_worker = "counts per worker here; what all workers together may open is servers.<name>.total";
constexpr std::string_view total = "the same meaning: connections that are kept open, leased ones included";

constexpr ForeignOption laravel_options[] = {
    {"pool_max", "", "pools.<name>.max", C::same, "", per_worker},
    {"pool_min", "", "pools.<name>.min_idle", C::same, "", total},
    {"pool_idle_timeout", "s", "pools.<name>.idle_timeout", C::duration, "", ""},
    {"pool_max_wait_time", "s", "pools.<name>.acquire_timeout", C::duration, "", ""},
    {"pool.max_connections", "", "pools.<name>.max", C::same, "", per_worker},
    {"pool.min_connections", "", "pools.<name>.min_idle", C::same, "", total},
    {"pool.connect_timeout", "s", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"pool.wait_timeout", "s", "pools.<name>.acquire_timeout", C::duration, "", ""},
    {"pool.max_idle_time", "s", "pools.<name>.idle_timeout", C::duration, "", ""},
    {"pool.heartbeat", "s", "pools.<name>.keepalive", C::duration, "-1=0s", ""},
    {"driver", "", "pools.<name>.url", C::scheme, "", ""},
    {"url", "", "pools.<name>.url", C::url, "", ""},
    {"DATABASE_URL", "", "pools.<name>.url", C::url, "", ""},
    {"DB_CONNECTION", "", "pools.<name>.url", C::scheme, "", ""},
    {"host", "", "pools.<name>.url", C::host, "", ""},
    {"port", "", "pools.<name>.url", C::port, "", ""},
    {"username", "", "pools.<name>.url", C::user, "", ""},
    {"password", "", "pools.<name>.url", C::password, "", ""},
    {"database", "", "pools.<name>.url", C::database, "", ""},
    {"sslmode", "", "sslmode", C::parameter, "", ""},
    {"sticky", "", "", C::none, "", "reading from replicas is a group's policy, which is a later step"},
    {"charset", "", "", C::none, "", "texts are UTF-8"},
    {"collation", "", "", C::none, "", "the database's own"},
    {"prefix", "", "", C::none, "", "statements are sent as they are written"},
    {"prefix_indexes", "", "", C::none, "", "statements are sent as they are written"},
    {"search_path", "", "", C::none, "", "ALTER ROLE … SET search_path, on the server"},
    {"schema", "", "", C::none, "", "ALTER ROLE … SET search_path, on the server"},
    {"foreign_key_constraints", "", "", C::none, "", "PRAGMA foreign_keys of the database"},
    {"strict", "", "", C::none, "", "sql_mode of the server"},
    {"engine", "", "", C::none, "", "a schema's matter"},
    {"unix_socket", "", "", C::none, "", "as host in the url"},
};

constexpr ForeignOption hikaricp_options[] = {
    {"maximumPoolSize", "", "pools.<name>.max", C::same, "", per_worker},
    {"minimumIdle", "", "pools.<name>.min_idle", C::same, "", "counts open connections here, leased ones included, not idle ones as there; 0 unless it is set, so that idle share can be used by others"},
    {"connectionTimeout", "ms", "pools.<name>.acquire_timeout", C::duration, "0=0s", "waiting for a connection there; one attempt to connect ends by connect_timeout"},
    {"idleTimeout", "ms", "pools.<name>.soft_idle_timeout", C::duration, "", "closes idle connections while more than min_idle are open"},
    {"maxLifetime", "ms", "pools.<name>.max_lifetime", C::duration, "", "shortened at random by lifetime_jitter, also on busy pools"},
    {"keepaliveTime", "ms", "pools.<name>.keepalive", C::duration, "", ""},
    {"validationTimeout", "ms", "connect_timeout", C::builtin, "", "a check ends by connect_timeout, 1s at most"},
    {"connectionTestQuery", "", "pools.<name>.validation_query", C::same, "", "leave it out: the driver's cheapest check is used"},
    {"connectionInitSql", "", "after_connect", C::code, "", "a hook of the pool"},
    {"leakDetectionThreshold", "ms", "pools.<name>.leak.after", C::duration, "", "with the line that took it; ctl permits shows who holds what"},
    {"initializationFailTimeout", "ms", "pools.<name>.warm_up", C::same, "-1=false 0=false 1=true",
     "a database that is down is no failure: workers start, calls wait, /readyz says why"},
    {"jdbcUrl", "", "pools.<name>.url", C::url, "", ""},
    {"url", "", "pools.<name>.url", C::url, "", ""},
    {"username", "", "pools.<name>.url", C::user, "", ""},
    {"password", "", "pools.<name>.url", C::password, "", ""},
    {"dataSource.user", "", "pools.<name>.url", C::user, "", ""},
    {"dataSource.password", "", "pools.<name>.url", C::password, "", ""},
    {"dataSource.serverName", "", "pools.<name>.url", C::host, "", ""},
    {"dataSource.portNumber", "", "pools.<name>.url", C::port, "", ""},
    {"dataSource.databaseName", "", "pools.<name>.url", C::database, "", ""},
    {"dataSource.prepStmtCacheSize", "", "pools.<name>.statement_cache", C::same, "", "per connection"},
    {"dataSource.cachePrepStmts", "", "pools.<name>.statement_cache", C::same, "true= false=0", ""},
    {"dataSource.*", "", "", C::none, "", "an option of the JDBC driver"},
    {"autoCommit", "", "db.query()", C::code, "", "autocommit; a transaction is db.begin()"},
    {"readOnly", "", "db.begin(…)", C::code, "", "per transaction"},
    {"transactionIsolation", "", "db.begin(…)", C::code, "", "per transaction"},
    {"isolateInternalQueries", "", "", C::none, "", "the pool's own statements never share a transaction with yours"},
    {"allowPoolSuspension", "", "Pool::pause()", C::code, "", "always possible"},
    {"registerMbeans", "", "/metrics", C::builtin, "", "always there"},
    {"poolName", "", "", C::none, "", "a pool is named by its key under pools"},
    {"catalog", "", "", C::none, "", "part of the url"},
    {"schema", "", "", C::none, "", "ALTER ROLE … SET search_path, on the server"},
    {"driverClassName", "", "", C::none, "", "the url's scheme chooses the driver"},
    {"dataSourceClassName", "", "", C::none, "", "the url's scheme chooses the driver"},
};

constexpr ForeignOption pgxpool_options[] = {
    {"pool_max_conns", "", "pools.<name>.max", C::same, "", per_worker},
    {"MaxConns", "", "pools.<name>.max", C::same, "", per_worker},
    {"pool_min_conns", "", "pools.<name>.min_idle", C::same, "", total},
    {"MinConns", "", "pools.<name>.min_idle", C::same, "", total},
    {"pool_min_idle_conns", "", "pools.<name>.min_idle", C::same, "", "counts open connections here, leased ones included, not idle ones as there"},
    {"MinIdleConns", "", "pools.<name>.min_idle", C::same, "", "counts open connections here, leased ones included, not idle ones as there"},
    {"pool_max_conn_lifetime", "go", "pools.<name>.max_lifetime", C::duration, "", ""},
    {"MaxConnLifetime", "go", "pools.<name>.max_lifetime", C::duration, "", ""},
    {"pool_max_conn_lifetime_jitter", "go", "pools.<name>.lifetime_jitter", C::code, "", "a share of max_lifetime here, 0.1 by default, not a duration"},
    {"MaxConnLifetimeJitter", "go", "pools.<name>.lifetime_jitter", C::code, "", "a share of max_lifetime here, 0.1 by default, not a duration"},
    {"pool_max_conn_idle_time", "go", "pools.<name>.idle_timeout", C::duration, "", ""},
    {"MaxConnIdleTime", "go", "pools.<name>.idle_timeout", C::duration, "", ""},
    {"pool_health_check_period", "go", "deadlines", C::builtin, "", "every connection has its own deadline; there is no run to schedule"},
    {"HealthCheckPeriod", "go", "deadlines", C::builtin, "", "every connection has its own deadline; there is no run to schedule"},
    {"connect_timeout", "s", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"ConnectTimeout", "go", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"statement_cache_capacity", "", "pools.<name>.statement_cache", C::same, "", ""},
    {"default_query_exec_mode", "", "pools.<name>.statement_cache", C::code, "", "statement_cache: 0 prepares nothing"},
    {"BeforeConnect", "", "before_connect", C::code, "", "a hook of the pool"},
    {"AfterConnect", "", "after_connect", C::code, "", "a hook of the pool"},
    {"BeforeAcquire", "", "before_lease", C::code, "", "a hook of the pool"},
    {"AfterRelease", "", "after_return", C::code, "", "a hook of the pool"},
    {"BeforeClose", "", "before_close", C::code, "", "a hook of the pool"},
    {"LazyConnect", "", "pools.<name>.warm_up", C::same, "true=false false=true", ""},
    {"url", "", "pools.<name>.url", C::url, "", ""},
    {"dsn", "", "pools.<name>.url", C::url, "", ""},
    {"host", "", "pools.<name>.url", C::host, "", ""},
    {"port", "", "pools.<name>.url", C::port, "", ""},
    {"user", "", "pools.<name>.url", C::user, "", ""},
    {"password", "", "pools.<name>.url", C::password, "", ""},
    {"dbname", "", "pools.<name>.url", C::database, "", ""},
    {"database", "", "pools.<name>.url", C::database, "", ""},
    {"sslmode", "", "sslmode", C::parameter, "", ""},
};

constexpr ForeignOption grpc_options[] = {
    {"grpc.keepalive_time_ms", "ms", "pools.<name>.keepalive", C::duration, "", "idle connections are checked this often"},
    {"grpc.keepalive_timeout_ms", "ms", "connect_timeout", C::builtin, "", "a check ends by connect_timeout, 1s at most"},
    {"grpc.keepalive_permit_without_calls", "", "keepalive", C::builtin, "", "only idle connections are checked: the busy ones prove themselves"},
    {"grpc.http2.min_time_between_pings_ms", "ms", "keepalive", C::builtin, "", "keepalive is the time between two checks"},
    {"grpc.http2.max_pings_without_data", "", "keepalive", C::builtin, "0=", "unlimited"},
    {"grpc.max_receive_message_length", "", "", C::none, "", "the gRPC driver, which is a later step"},
    {"grpc.max_send_message_length", "", "", C::none, "", "the gRPC driver, which is a later step"},
    {"grpc.max_concurrent_streams", "", "", C::none, "", "a connector says how many requests its connections carry"},
    {"max_workers", "", "", C::none, "", "calls are coroutines; no thread waits for them"},
    {"target", "", "pools.<name>.url", C::url, "", ""},
    {"url", "", "pools.<name>.url", C::url, "", ""},
};

constexpr Ecosystem all[] = {
    {"laravel", "php", "Laravel (PHP)", "postgres", "connections", "connections", "", "postgres://localhost/app", laravel_options},
    {"hikaricp", "hikari spring", "HikariCP and Spring Boot (Java)", "postgres", "", "", "", "postgres://localhost/app", hikaricp_options},
    {"pgxpool", "pgx", "pgxpool (Go)", "postgres", "", "", "", "postgres://localhost/app", pgxpool_options},
    {"grpc", "grpc-js", "gRPC channels", "grpc", "insecure_channel secure_channel channelOptions ServiceClient UserServiceClient", "", "", "grpc://localhost",
     grpc_options},
};

}  // namespace

std::span<const Ecosystem> other_ecosystems() { return all; }

}  // namespace sluice::config
