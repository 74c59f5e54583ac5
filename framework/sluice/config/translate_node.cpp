// Pools of Node.js.
#include <sluice/config/translate_table.hpp>

namespace sluice::config {
namespace {

using C = Conversion;

constexpr std::string_view per_worker = "counts per worker here; what all workers together may open is servers.<name>.total";
constexpr std::string_view no_tcp = "every driver socket has TCP keep-alive on, with the system's timing";
constexpr std::string_view total = "the same meaning: connections that are kept open, leased ones included";
constexpr std::string_view impatient =
    "false: a caller waits for the connect that is begun for it, never for another caller; beyond what the worker can have it gets an error at once";
constexpr std::string_view while_down = "false: there calls fail while disconnected; here, too, and also where others have all connections";
constexpr std::string_view no_idle_cap = "idle connections end by time, and give way at once to whoever needs their permits: there is no cap to set";
constexpr std::string_view retried = "a loop around the call, with a budget that keeps retries from multiplying load";

constexpr ForeignOption mysql2_options[] = {
    {"connectionLimit", "", "pools.<name>.max", C::same, "", per_worker},
    {"waitForConnections", "", "pools.<name>.queue_limit", C::same, "true= false=0", impatient},
    {"queueLimit", "", "pools.<name>.queue_limit", C::same, "0=unbounded", "0 means unbounded there; here nobody waits for others then"},
    {"maxIdle", "", "", C::none, "", no_idle_cap},
    {"idleTimeout", "ms", "pools.<name>.idle_timeout", C::duration, "", ""},
    {"connectTimeout", "ms", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"acquireTimeout", "ms", "pools.<name>.acquire_timeout", C::duration, "", "mysql2 itself ignores it; here the wait really ends"},
    {"timeout", "ms", "pools.<name>.statement_timeout", C::duration, "", "cancels the statement on the server, too"},
    {"reconnect", "", "connect_backoff_min", C::builtin, "", "lost connections are replaced, with backoff"},
    {"resetOnRelease", "", "pools.<name>.reset_on_return", C::same, "true=always false=auto", ""},
    {"maxPreparedStatements", "", "pools.<name>.statement_cache", C::same, "", "per connection"},
    {"enableKeepAlive", "", "TCP keep-alive", C::builtin, "", no_tcp},
    {"keepAliveInitialDelay", "", "TCP keep-alive", C::builtin, "", no_tcp},
    {"uri", "", "pools.<name>.url", C::url, "", ""},
    {"url", "", "pools.<name>.url", C::url, "", ""},
    {"host", "", "pools.<name>.url", C::host, "", ""},
    {"port", "", "pools.<name>.url", C::port, "", ""},
    {"user", "", "pools.<name>.url", C::user, "", ""},
    {"password", "", "pools.<name>.url", C::password, "", ""},
    {"database", "", "pools.<name>.url", C::database, "", ""},
    {"ssl.ca", "", "pools.<name>.tls.ca", C::same, "", "a file here, not its content"},
    {"ssl.cert", "", "pools.<name>.tls.cert", C::same, "", "a file here, not its content"},
    {"ssl.key", "", "pools.<name>.tls.key", C::same, "", "a file here, not its content"},
    {"ssl.rejectUnauthorized", "", "pools.<name>.tls.mode", C::same, "true=verify-full false=require", ""},
    {"namedPlaceholders", "", "", C::none, "", "one style of placeholder, $1, on every database"},
    {"multipleStatements", "", "", C::none, "", "one statement a call: parameters are bound, never spliced"},
    {"dateStrings", "", "", C::none, "", "columns are read as the type that the caller asks for"},
    {"charset", "", "", C::none, "", "texts are UTF-8"},
    {"timezone", "", "", C::none, "", "timestamps are instants"},
    {"debug", "", "log.level", C::builtin, "", "its level debug"},
};

constexpr ForeignOption pg_options[] = {
    {"max", "", "pools.<name>.max", C::same, "", per_worker},
    {"min", "", "pools.<name>.min_idle", C::same, "", total},
    {"idleTimeoutMillis", "ms", "pools.<name>.idle_timeout", C::duration, "", "0 means never, as there"},
    {"connectionTimeoutMillis", "ms", "pools.<name>.acquire_timeout", C::duration, "",
     "covers waiting and connecting there; here one attempt to connect ends by connect_timeout, the whole wait by this"},
    {"maxUses", "", "pools.<name>.max_uses", C::same, "Infinity=0", ""},
    {"maxLifetimeSeconds", "s", "pools.<name>.max_lifetime", C::duration, "", "shortened at random by lifetime_jitter, also on busy pools"},
    {"allowExitOnIdle", "", "", C::none, "", "a worker ends by its own decision, not by an idle pool"},
    {"statement_timeout", "ms", "pools.<name>.statement_timeout", C::duration, "false=0s", "cancels the statement on the server, too"},
    {"query_timeout", "ms", "pools.<name>.statement_timeout", C::duration, "false=0s", "cancels the statement on the server, too"},
    {"lock_timeout", "ms", "", C::none, "", "SET lock_timeout in the statement's transaction"},
    {"idle_in_transaction_session_timeout", "ms", "", C::none, "", "ALTER ROLE … SET, on the server; a transaction here ends with its scope"},
    {"connectionString", "", "pools.<name>.url", C::url, "", ""},
    {"url", "", "pools.<name>.url", C::url, "", ""},
    {"host", "", "pools.<name>.url", C::host, "", ""},
    {"port", "", "pools.<name>.url", C::port, "", ""},
    {"user", "", "pools.<name>.url", C::user, "", ""},
    {"password", "", "pools.<name>.url", C::password, "", ""},
    {"database", "", "pools.<name>.url", C::database, "", ""},
    {"sslmode", "", "sslmode", C::parameter, "", ""},
    {"ssl", "", "pools.<name>.tls.mode", C::same, "true=verify-full false=disable", ""},
    {"ssl.rejectUnauthorized", "", "pools.<name>.tls.mode", C::same, "true=verify-full false=require", ""},
    {"ssl.ca", "", "pools.<name>.tls.ca", C::same, "", "a file here, not its content"},
    {"application_name", "", "", C::none, "", "sessions are named <instance>:<slot>.<generation>, so that orphans can be found"},
    {"keepAlive", "", "TCP keep-alive", C::builtin, "", no_tcp},
    {"keepAliveInitialDelayMillis", "", "TCP keep-alive", C::builtin, "", no_tcp},
};

constexpr ForeignOption generic_pool_options[] = {
    {"max", "", "pools.<name>.max", C::same, "", per_worker},
    {"min", "", "pools.<name>.min_idle", C::same, "", total},
    {"maxWaitingClients", "", "pools.<name>.queue_limit", C::same, "", ""},
    {"acquireTimeoutMillis", "ms", "pools.<name>.acquire_timeout", C::duration, "", ""},
    {"acquireTimeout", "ms", "pools.<name>.acquire_timeout", C::duration, "", ""},
    {"destroyTimeoutMillis", "ms", "pools.<name>.close_timeout", C::duration, "", "past it the permit is quarantined until the close is proven"},
    {"createTimeoutMillis", "ms", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"idleTimeoutMillis", "ms", "pools.<name>.idle_timeout", C::duration, "", ""},
    {"idleTimeout", "ms", "pools.<name>.idle_timeout", C::duration, "", ""},
    {"softIdleTimeoutMillis", "ms", "pools.<name>.soft_idle_timeout", C::duration, "-1=0s", "-1 means never there, 0s here"},
    {"evictionRunIntervalMillis", "ms", "deadlines", C::builtin, "", "every connection has its own deadline; there is no run to schedule"},
    {"reapIntervalMillis", "ms", "deadlines", C::builtin, "", "every connection has its own deadline; there is no run to schedule"},
    {"numTestsPerEvictionRun", "", "deadlines", C::builtin, "", "every connection has its own deadline; there is no run to schedule"},
    {"testOnBorrow", "", "pools.<name>.validate_after", C::same, "true=0s false=", "true: always checked; without it after 1s of idleness"},
    {"testOnReturn", "", "pools.<name>.reset_on_return", C::same, "true=always false=", "a reset that fails closes the connection"},
    {"fifo", "", "pools.<name>.reuse", C::same, "true=fifo false=lifo", ""},
    {"autostart", "", "pools.<name>.warm_up", C::same, "", "before the worker counts as ready"},
    {"priorityRange", "", "", C::none, "", "the priority is a call's own"},
    {"propagateCreateError", "", "last connect error", C::builtin, "", "every failed wait carries the cause of the last failed connect"},
};

constexpr ForeignOption mongodb_options[] = {
    {"maxPoolSize", "", "pools.<name>.max", C::same, "0=limit", per_worker},
    {"poolSize", "", "pools.<name>.max", C::same, "0=limit", per_worker},
    {"minPoolSize", "", "pools.<name>.min_idle", C::same, "", total},
    {"maxIdleTimeMS", "ms", "pools.<name>.idle_timeout", C::duration, "", ""},
    {"waitQueueTimeoutMS", "ms", "pools.<name>.acquire_timeout", C::duration, "", ""},
    {"serverSelectionTimeoutMS", "ms", "pools.<name>.acquire_timeout", C::duration, "", "waiting for a server is part of waiting for a connection"},
    {"maxConnecting", "", "servers.<name>.max_connecting", C::same, "", "over all workers here"},
    {"connectTimeoutMS", "ms", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"socketTimeoutMS", "ms", "pools.<name>.statement_timeout", C::duration, "", ""},
    {"heartbeatFrequencyMS", "ms", "pools.<name>.keepalive", C::duration, "", "idle connections are checked this often"},
    {"bufferMaxEntries", "", "pools.<name>.queue_limit", C::same, "-1=unbounded", "calls wait in the pool's queue while there is no connection"},
    {"bufferCommands", "", "pools.<name>.queue_limit", C::same, "true= false=0", while_down},
    {"autoIndex", "", "", C::none, "", "a schema's matter"},
    {"retryWrites", "", "pool::RetryLoop", C::code, "", retried},
    {"retryReads", "", "pool::RetryLoop", C::code, "", retried},
    {"monitorCommands", "", "Pool::on_event()", C::code, "", ""},
    {"family", "", "", C::none, "", "every resolved address is tried, IPv6 and IPv4"},
    {"useNewUrlParser", "", "", C::none, "", "it does nothing there either"},
    {"useUnifiedTopology", "", "", C::none, "", "it does nothing there either"},
    {"uri", "", "pools.<name>.url", C::url, "", ""},
    {"url", "", "pools.<name>.url", C::url, "", ""},
    {"host", "", "pools.<name>.url", C::host, "", ""},
    {"port", "", "pools.<name>.url", C::port, "", ""},
    {"user", "", "pools.<name>.url", C::user, "", ""},
    {"pass", "", "pools.<name>.url", C::password, "", ""},
    {"dbName", "", "pools.<name>.url", C::database, "", ""},
    {"authSource", "", "authSource", C::parameter, "", ""},
    {"replicaSet", "", "replicaSet", C::parameter, "", ""},
    {"tls", "", "pools.<name>.tls.mode", C::same, "true=verify-full false=disable", ""},
    {"tlsCAFile", "", "pools.<name>.tls.ca", C::same, "", ""},
};

constexpr ForeignOption node_http_options[] = {
    {"maxSockets", "", "pools.<name>.max", C::same, "Infinity=limit", per_worker},
    {"maxTotalSockets", "", "servers.<name>.total", C::same, "Infinity=auto", "over all workers here, as a hard budget"},
    {"maxFreeSockets", "", "", C::none, "", no_idle_cap},
    {"keepAlive", "", "pooling", C::builtin, "", "connections are kept; idle_timeout ends them"},
    {"keepAliveMsecs", "ms", "pools.<name>.keepalive", C::duration, "", "idle connections are checked this often"},
    {"keepAliveTimeout", "ms", "pools.<name>.idle_timeout", C::duration, "", ""},
    {"freeSocketTimeout", "ms", "pools.<name>.idle_timeout", C::duration, "", ""},
    {"timeout", "ms", "pools.<name>.statement_timeout", C::duration, "", "of one request"},
    {"scheduling", "", "pools.<name>.reuse", C::same, "", ""},
    {"maxRedirects", "", "", C::none, "", "a redirect is the caller's to follow"},
    {"baseURL", "", "pools.<name>.url", C::url, "", ""},
};

constexpr ForeignOption ioredis_options[] = {
    {"maxRetriesPerRequest", "", "pool::RetryLoop", C::code, "", retried},
    {"retryStrategy", "", "pools.<name>.connect_backoff_max", C::code, "", "connect_backoff_min doubles up to connect_backoff_max, with full jitter"},
    {"enableReadyCheck", "", "warm_up", C::builtin, "", "a worker is ready when its pools are warm; /readyz says why not"},
    {"enableOfflineQueue", "", "pools.<name>.queue_limit", C::same, "true= false=0", while_down},
    {"connectTimeout", "ms", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"commandTimeout", "ms", "pools.<name>.statement_timeout", C::duration, "", ""},
    {"keepAlive", "ms", "TCP keep-alive", C::builtin, "", no_tcp},
    {"family", "", "", C::none, "", "every resolved address is tried, IPv6 and IPv4"},
    {"scaleReads", "", "", C::none, "", "reading from replicas is a group's policy, which is a later step"},
    {"lazyConnect", "", "pools.<name>.warm_up", C::same, "true=false false=true", ""},
    {"host", "", "pools.<name>.url", C::host, "", ""},
    {"port", "", "pools.<name>.url", C::port, "", ""},
    {"username", "", "pools.<name>.url", C::user, "", ""},
    {"password", "", "pools.<name>.url", C::password, "", ""},
    {"db", "", "pools.<name>.url", C::database, "", ""},
    {"url", "", "pools.<name>.url", C::url, "", ""},
};

constexpr std::string_view by_group = "a server of its own for each host; distances are a group's matter, which is a later step";

constexpr std::string_view by_region = "a server of its own for each host; regions are a group's matter, which is a later step";
constexpr std::string_view discovered = "servers are named in the configuration; finding them is a group's matter, which is a later step";
constexpr std::string_view exponential = "pauses always double, and each is drawn at random between zero and that";

constexpr ForeignOption cassandra_options[] = {
    {"contactPoints", "", "pools.<name>.url", C::host, "", "the first one; the others are a group's matter, which is a later step"},
    {"keyspace", "", "pools.<name>.url", C::database, "", ""},
    {"credentials.username", "", "pools.<name>.url", C::user, "", ""},
    {"credentials.password", "", "pools.<name>.url", C::password, "", ""},
    {"localDataCenter", "", "", C::none, "", by_group},
    {"coreConnectionsPerHost.0", "", "pools.<name>.min_idle", C::same, "", total},
    {"coreConnectionsPerHost.*", "", "", C::none, "", by_group},
    {"maxConnectionsPerHost.0", "", "pools.<name>.max", C::same, "", per_worker},
    {"maxConnectionsPerHost.*", "", "", C::none, "", by_group},
    {"maxRequestsPerConnection", "", "pools.<name>.max_requests_per_connection", C::same, "", "the protocol carries 32768 at most; the driver's own limit is the default"},
    {"heartBeatInterval", "ms", "pools.<name>.keepalive", C::duration, "", "idle connections are checked this often"},
    {"warmup", "", "pools.<name>.warm_up", C::same, "", "before the worker counts as ready"},
    {"warmupTimeout", "ms", "boot_timeout", C::builtin, "", "waiting for a server does not count as boot time"},
    {"idleTimeout", "ms", "pools.<name>.idle_timeout", C::duration, "", ""},
    {"connectionTimeout", "ms", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"socketOptions.connectTimeout", "ms", "pools.<name>.connect_timeout", C::duration, "", ""},
    {"socketOptions.readTimeout", "ms", "pools.<name>.statement_timeout", C::duration, "", ""},
    {"tcpNoDelay", "", "TCP_NODELAY", C::builtin, "", "always on"},
    {"tcpKeepAlive", "", "TCP keep-alive", C::builtin, "", no_tcp},
    {"enableMetrics", "", "/metrics", C::builtin, "", "always there; nothing is asked, counters are read"},
    {"metricsInterval", "ms", "/metrics", C::builtin, "", "always there; nothing is asked, counters are read"},
    {"retry.policy", "", "pool::RetryLoop", C::code, "", retried},
    {"retry.maxRetries", "", "pool::RetryLoop", C::code, "", retried},
    {"retry.retryDelay", "ms", "pool::RetryLoop", C::code, "", retried},
    {"failover.enabled", "", "", C::none, "", by_group},
    {"failover.maxRetries", "", "pool::RetryLoop", C::code, "", retried},
    {"failover.retryDelay", "ms", "pool::RetryLoop", C::code, "", retried},
    {"backoffMultiplier", "", "", C::none, "", exponential},
    {"enableBatching", "", "pools.<name>.pipeline", C::same, "true=all false=off", "on PostgreSQL and MariaDB; statements that find no connection free travel in groups"},
    {"batchSize", "", "pools.<name>.pipeline_group", C::same, "", "the most statements of a group"},
    {"batchTimeout", "ms", "", C::none, "", "a group leaves as soon as a connection is free: nothing waits for it to fill"},
    {"autoDiscovery", "", "", C::none, "", discovered},
    {"discoveryInterval", "ms", "", C::none, "", discovered},
    {"regionSettings.*", "", "", C::none, "", by_region},
    {"regionSettings.*.*", "", "", C::none, "", by_region},
    {"healthCheck.enabled", "", "pools.<name>.keepalive", C::same, "true= false=0s", ""},
    {"healthCheck.interval", "ms", "pools.<name>.keepalive", C::duration, "", ""},
    {"healthCheck.timeout", "ms", "connect_timeout", C::builtin, "", "a check ends by connect_timeout, 1s at most"},
    {"healthCheck.query", "", "pools.<name>.validation_query", C::same, "", ""},
    {"adaptivePooling.enabled", "", "pools.<name>.adaptive.enabled", C::same, "", ""},
    {"adaptivePooling.minConnections", "", "pools.<name>.min_idle", C::same, "", total},
    {"adaptivePooling.maxConnections", "", "pools.<name>.max", C::same, "", per_worker},
    {"adaptivePooling.targetUtilization", "", "pools.<name>.adaptive.target", C::same, "", ""},
    {"adaptivePooling.scaleUpThreshold", "", "pools.<name>.adaptive.up", C::same, "", ""},
    {"adaptivePooling.scaleDownThreshold", "", "pools.<name>.adaptive.down", C::same, "", ""},
    {"adaptivePooling.evaluationInterval", "ms", "pools.<name>.adaptive.every", C::duration, "", ""},
    {"loadBalancing.*", "", "", C::none, "", by_group},
    {"circuitBreaker.*", "", "connect_backoff_max", C::builtin, "", "while a server is down one probe at a time tries, with backoff; callers learn the cause"},
};

constexpr ForeignOption clustered_options[] = {
    {"workers", "", "workers", C::same, "-1=auto", "--workers"},
    {"connectionLimit", "", "pools.<name>.max", C::same, "", per_worker},
    {"acquireTimeout", "ms", "pools.<name>.acquire_timeout", C::duration, "", ""},
    {"timeout", "ms", "pools.<name>.statement_timeout", C::duration, "", ""},
    {"idleTimeout", "ms", "pools.<name>.idle_timeout", C::duration, "", ""},
    {"queueLimit", "", "pools.<name>.queue_limit", C::same, "0=unbounded", "0 means unbounded there; here nobody waits for others then"},
    {"waitForConnections", "", "pools.<name>.queue_limit", C::same, "true= false=0", impatient},
    {"reconnect", "", "connect_backoff_min", C::builtin, "", "lost connections are replaced, with backoff"},
    {"url", "", "pools.<name>.url", C::url, "", ""},
    {"type", "", "pools.<name>.url", C::scheme, "", ""},
    {"host", "", "pools.<name>.url", C::host, "", ""},
    {"port", "", "pools.<name>.url", C::port, "", ""},
    {"user", "", "pools.<name>.url", C::user, "", ""},
    {"password", "", "pools.<name>.url", C::password, "", ""},
    {"database", "", "pools.<name>.url", C::database, "", ""},
};

constexpr Ecosystem all[] = {
    {"mysql2", "mysql", "mysql2 (Node.js)", "mysql", "createPool createPoolCluster poolConfig dbConfig", "", "", "mysql://localhost/app", mysql2_options},
    {"pg", "node-postgres", "pg (Node.js)", "postgres", "Pool Client poolConfig", "", "", "postgres://localhost/app", pg_options},
    {"generic-pool", "node-pool", "generic-pool (Node.js)", "resource", "poolOptions opts options ResourcePool", "", "", "resource://localhost",
     generic_pool_options},
    {"mongoose", "mongodb", "mongoose and the MongoDB drivers", "mongodb", "options connect MongoClient createConnection", "", "", "mongodb://localhost/app",
     mongodb_options},
    {"node-http", "axios http-agent", "http.Agent and axios (Node.js)", "https", "Agent create", "", "", "https://localhost", node_http_options},
    {"ioredis", "", "ioredis (Node.js)", "redis", "Redis redisOptions Cluster", "", "", "redis://localhost", ioredis_options},
    {"cassandra", "cassandra-driver cassandraorm", "Cassandra drivers (Node.js)", "cassandra", "clientOptions Client createClient", "", "", "cassandra://localhost",
     cassandra_options},
    {"clustered", "node-cluster", "Clustered applications with APP_X__Y variables", "mysql", "", "", "", "mysql://localhost/app", clustered_options},
};

}  // namespace

std::span<const Ecosystem> node_ecosystems() { return all; }

}  // namespace sluice::config
