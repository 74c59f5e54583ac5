// Configurations of other pools, as their documentation writes them, in ours. Whatever is translated without a problem must be a
// configuration that --check-config accepts.
#include "fixture.hpp"

#include <sluice/config/table.hpp>
#include <sluice/config/translate.hpp>

#include <doctest/doctest.h>
#include <map>

using namespace config_test;
using sluice::Duration;
using namespace std::chrono_literals;

namespace {

Translation from(const std::string& ecosystem, const std::string& content, const std::string& file) {
  const Ecosystem* found = find_ecosystem(ecosystem);
  REQUIRE(found);
  return translate(*found, content, file);
}

std::map<std::string, std::string> values_of(const Translation& translation) {
  std::map<std::string, std::string> out;
  for (const Translated& option : translation.options) out[option.name] = option.value;
  return out;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

std::string remarks_of(const Translation& translation) {
  std::string out;
  for (const Remark& remark : translation.remarks) out += remark.theirs + ": " + remark.said + "\n";
  return out;
}

// Loads the text that ctl prints.
Config accepted(const Translation& translation, const Environment& environment = {}) {
  INFO(to_text(translation));
  CHECK(joined(translation.problems) == "");
  return load_file("translated.json", to_text(translation), {}, environment).config;
}

std::string refused(const std::string& ecosystem, const std::string& content, const std::string& file) {
  try {
    from(ecosystem, content, file);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("translate: SQLAlchemy, a call with keyword arguments in a program") {
  const Translation t = from("sqlalchemy", R"py(
from sqlalchemy import create_engine
engine = create_engine(
    f"mysql+pymysql://{DB_USER}:{DB_PASSWORD}@{DB_HOST}:{DB_PORT}/{DB_NAME}",
    pool_size=5,            # kept
    max_overflow=10,       # more when it is full
    pool_timeout=30,
    pool_recycle=60 * 60,
    pool_pre_ping=True,
    pool_reset_on_return=None,
)
Session = sessionmaker(bind=engine)
)py",
                             "engine.py");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.url") == "mysql://${DB_USER}:${DB_PASSWORD}@${DB_HOST}:${DB_PORT}/${DB_NAME}");
  CHECK(values.at("pools.main.max") == "15");
  CHECK(values.at("pools.main.acquire_timeout") == "30s");
  CHECK(values.at("pools.main.max_lifetime") == "1h");
  CHECK(values.at("pools.main.validate_after") == "0s");
  CHECK(values.at("pools.main.reset_on_return") == "never");
  CHECK(values.size() == 6);
  CHECK(contains(to_text(t), "\"max\": 15,  // pool_size + max_overflow: "));
  const Config config = accepted(t, {{"DB_USER", "u"}, {"DB_PASSWORD", "p"}, {"DB_HOST", "db"}, {"DB_PORT", "3306"}, {"DB_NAME", "app"}});
  CHECK(config.pools.at("main").url == "mysql://u:p@db:3306/app");
  CHECK(config.pools.at("main").max == 15);
}

TEST_CASE("translate: SQLAlchemy's unlimited overflow is our limit, minus one its word for never") {
  const auto values = values_of(from("sqlalchemy", "create_engine('sqlite:///data/app.db', pool_size=5, max_overflow=-1, pool_recycle=-1)", "engine.py"));
  CHECK(values.at("pools.main.url") == "sqlite:data/app.db");
  CHECK(values.at("pools.main.max") == "limit");
  CHECK(values.at("pools.main.max_lifetime") == "0s");
}

TEST_CASE("translate: pg, an object in a program, with variables of the environment and their fallbacks") {
  const Translation t = from("pg", R"js(
const { Pool } = require('pg');
const pool = new Pool({
    host: process.env.DB_HOST,
    port: process.env.DB_PORT || 5432,
    database: process.env.DB_NAME,
    user: 'me',
    password: process.env.DB_PASSWORD,
    max: 20, // Maximum pool size
    min: 2,
    idleTimeoutMillis: 30 * 1000,
    connectionTimeoutMillis: 2_500,
    maxUses: 7500,
    allowExitOnIdle: false,
});
const metrics = { max: 3 };
)js",
                             "pool.js");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.url") == "postgres://me:${DB_PASSWORD}@${DB_HOST}:${DB_PORT:-5432}/${DB_NAME}");
  CHECK(values.at("pools.main.max") == "20");
  CHECK(values.at("pools.main.min_idle") == "2");
  CHECK(values.at("pools.main.idle_timeout") == "30s");
  CHECK(values.at("pools.main.acquire_timeout") == "2500ms");
  CHECK(values.at("pools.main.max_uses") == "7500");
  CHECK(contains(remarks_of(t), "allowExitOnIdle: no equal: "));
  const Config config = accepted(t, {{"DB_HOST", "db"}, {"DB_PASSWORD", "pw"}, {"DB_NAME", "app"}});
  CHECK(config.pools.at("main").url == "postgres://me:pw@db:5432/app");
  CHECK(config.pools.at("main").acquire_timeout == Duration(2500ms));
}

TEST_CASE("translate: mysql2, JSON with a password that needs encoding, and a queue without limit") {
  const Translation t = from("mysql2", R"({"host": "db", "user": "root", "password": "p@ss/w:rd", "database": "shop", "connectionLimit": 10,
    "waitForConnections": true, "queueLimit": 0, "enableKeepAlive": true, "keepAliveInitialDelay": 0, "connectTimeout": 2000})",
                             "pool.json");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.url") == "mysql://root:p%40ss%2Fw%3Ard@db/shop");
  CHECK(values.at("pools.main.queue_limit") == "unbounded");
  CHECK(values.at("pools.main.connect_timeout") == "2s");
  const Config config = accepted(t);
  CHECK_FALSE(config.pools.at("main").queue_limit);
  CHECK(config.pools.at("main").max == 10);
  CHECK(values_of(from("mysql2", R"({"host": "db", "waitForConnections": false})", "pool.json")).at("pools.main.queue_limit") == "0");
}

TEST_CASE("translate: generic-pool, whose own resource has no url") {
  const Translation t = from("generic-pool", R"js(
const factory = { create: async () => new Thing(), destroy: async (thing) => thing.end() };
const poolOptions = {
    min: 2, max: 10, acquireTimeoutMillis: 5000, idleTimeoutMillis: 30000, evictionRunIntervalMillis: 1000,
    softIdleTimeoutMillis: 300000, testOnBorrow: true, fifo: false, maxWaitingClients: 50
};
)js",
                             "pool.mjs");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.soft_idle_timeout") == "5min");
  CHECK(values.at("pools.main.validate_after") == "0s");
  CHECK(values.at("pools.main.reuse") == "lifo");
  CHECK(values.at("pools.main.queue_limit") == "50");
  CHECK(contains(remarks_of(t), "evictionRunIntervalMillis: always so: deadlines"));
  CHECK(contains(to_text(t), "the file names no server"));
  CHECK(accepted(t).pools.at("main").min_idle == 2);
}

TEST_CASE("translate: psycopg2, positional arguments and a DSN of keywords") {
  const Translation t = from("psycopg2", "pool = psycopg2.pool.ThreadedConnectionPool(2, 20, \"host=db dbname='my app' user=me password='a b' connect_timeout=3\")\n", "db.py");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.min_idle") == "2");
  CHECK(values.at("pools.main.max") == "20");
  CHECK(values.at("pools.main.connect_timeout") == "3s");
  CHECK(values.at("pools.main.url") == "postgres://me:a%20b@db/my%20app");
  accepted(t);
}

TEST_CASE("translate: psycopg_pool, YAML with seconds in fractions") {
  const Translation t = from("psycopg3", "min_size: 1\nmax_size: 8\ntimeout: 0.5\nmax_idle: 600\nmax_waiting: 0\nconninfo: postgresql://me@db/app\n", "pool.yaml");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.acquire_timeout") == "500ms");
  CHECK(values.at("pools.main.soft_idle_timeout") == "10min");
  CHECK(values.at("pools.main.queue_limit") == "unbounded");
  CHECK(values.at("pools.main.url") == "postgres://me@db/app");
  accepted(t);
}

TEST_CASE("translate: Django, where every database becomes a pool and the default one is main") {
  const Translation t = from("django", R"py(
DEBUG = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": "app", "USER": "me", "PASSWORD": os.environ["DB_PASSWORD"],
        "HOST": "db", "PORT": "", "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"pool": {"min_size": 2, "max_size": 4, "timeout": 10}},
    },
    "stats": {"ENGINE": "django.db.backends.sqlite3", "NAME": "stats.db"},
}
)py",
                             "settings.py");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.url") == "postgres://me:${DB_PASSWORD}@db/app");
  CHECK(values.at("pools.main.max_lifetime") == "1min");
  CHECK(values.at("pools.main.max") == "4");
  CHECK(values.at("pools.main.acquire_timeout") == "10s");
  CHECK(values.at("pools.stats.url") == "sqlite:stats.db");
  CHECK(accepted(t, {{"DB_PASSWORD", "x"}}).pools.size() == 2);
}

TEST_CASE("translate: Laravel, a PHP array whose values come from the environment") {
  const Translation t = from("laravel", R"php(<?php
return [
    'default' => env('DB_CONNECTION', 'pgsql'),
    'connections' => [
        'pgsql' => [
            'driver' => 'pgsql',
            'host' => env('DB_HOST', '127.0.0.1'),
            'port' => env('DB_PORT', '5432'),
            'database' => env('DB_DATABASE', 'forge'),
            'username' => env('DB_USERNAME', 'forge'),
            'password' => env('DB_PASSWORD', ''),
            'pool_max' => env('DB_POOL_MAX', 20),
            'pool_idle_timeout' => env('DB_POOL_IDLE_TIMEOUT', 30),
            'pool_max_wait_time' => 2,
        ],
    ],
];
)php",
                             "database.php");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.max") == "${DB_POOL_MAX:-20}");
  CHECK(values.at("pools.main.idle_timeout") == "${DB_POOL_IDLE_TIMEOUT:-30}s");
  CHECK(values.at("pools.main.acquire_timeout") == "2s");
  const Config config = accepted(t, {{"DB_POOL_IDLE_TIMEOUT", "45"}, {"DB_PASSWORD", "pw"}});
  CHECK(config.pools.at("main").max == 20);
  CHECK(config.pools.at("main").idle_timeout == Duration(45s));
  CHECK(config.pools.at("main").url == "postgres://forge:pw@127.0.0.1:5432/forge");
}

TEST_CASE("translate: Laravel, the variables of a .env file with their prefixes") {
  const Translation t = from("laravel", "# database\nDB_CONNECTION=pgsql\nDB_HOST=db\nDB_DATABASE=shop\nDB_POOL_MAX=12\nDB_POOL_IDLE_TIMEOUT=30\nexport DB_PASSWORD=\"a#b\"\n", ".env");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.max") == "12");
  CHECK(values.at("pools.main.idle_timeout") == "30s");
  CHECK(values.at("pools.main.url") == "postgres://:a%23b@db/shop");
  accepted(t);
}

TEST_CASE("translate: an environment's other servers and variables are left alone, and said") {
  const Translation t = from("laravel",
                             "APP_NAME=Shop\nMAIL_HOST=mail\nMAIL_PORT=25\nMAIL_USERNAME=m\nDB_CONNECTION=mysql\nDB_HOST=db\nDB_PORT=3306\nDB_DATABASE=shop\n"
                             "REDIS_HOST=cache\nREDIS_PASSWORD=hidden\nDB_POOL_MAX=7\n",
                             ".env");
  CHECK(values_of(t).at("pools.main.url") == "mysql://db:3306/shop");
  CHECK(values_of(t).at("pools.main.max") == "7");
  CHECK(contains(remarks_of(t), "MAIL_HOST: says where another server is: left alone"));
  CHECK(contains(remarks_of(t), "REDIS_PASSWORD: says where another server is"));
  CHECK(contains(remarks_of(t), "APP_NAME: is no option of the pool"));
  accepted(t);
}

TEST_CASE("translate: mongoose, options and a url with parameters") {
  const Translation t = from("mongodb", "mongodb://me:pw@db:27017/app?maxPoolSize=50&minPoolSize=10&waitQueueTimeoutMS=2000&retryWrites=true&authSource=admin", "<stdin>");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.url") == "mongodb://me:pw@db:27017/app?authSource=admin");
  CHECK(values.at("pools.main.max") == "50");
  CHECK(values.at("pools.main.acquire_timeout") == "2s");
  CHECK(contains(remarks_of(t), "retryWrites: in code: pool::RetryLoop"));
  accepted(t);
  const auto options = values_of(from("mongoose", "const options = { maxPoolSize: 20, maxIdleTimeMS: 30000, socketTimeoutMS: 45000, bufferMaxEntries: 0 };\nmongoose.connect('mongodb://localhost/mydb', options);", "db.js"));
  CHECK(options.at("pools.main.idle_timeout") == "30s");
  CHECK(options.at("pools.main.statement_timeout") == "45s");
  CHECK(options.at("pools.main.queue_limit") == "0");
  CHECK(options.at("pools.main.url") == "mongodb://localhost/mydb");
}

TEST_CASE("translate: urllib3 and requests, where a second call holds the retries") {
  const Translation t = from("requests", R"py(
retry_strategy = Retry(total=3, backoff_factor=1, status_forcelist=[429, 500, 502])
adapter = HTTPAdapter(max_retries=retry_strategy, pool_connections=10, pool_maxsize=100, pool_block=False)
)py",
                             "session.py");
  CHECK(values_of(t).at("pools.main.max") == "100");
  for (const char* there : {"total: in code: pool::RetryLoop", "status_forcelist: in code", "max_retries: in code", "pool_connections: no equal", "pool_block: left at the default"})
    CHECK(contains(remarks_of(t), there));
  accepted(t);
}

TEST_CASE("translate: HikariCP, properties of Spring Boot and setters of a program") {
  const Translation t = from("hikaricp",
                             "spring.datasource.url=jdbc:postgresql://db:5432/app\nspring.datasource.username=me\nspring.datasource.hikari.maximum-pool-size=10\n"
                             "spring.datasource.hikari.minimum-idle=2\nspring.datasource.hikari.connection-timeout=30000\nspring.datasource.hikari.max-lifetime=1800000\n",
                             "application.properties");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.url") == "postgres://me@db:5432/app");
  CHECK(values.at("pools.main.max") == "10");
  CHECK(values.at("pools.main.max_lifetime") == "30min");
  accepted(t);
  const auto setters = values_of(from("hikari",
                                      "HikariConfig config = new HikariConfig();\nconfig.setJdbcUrl(\"jdbc:mysql://db/shop\");\nconfig.setMaximumPoolSize(12);\n"
                                      "config.setIdleTimeout(TimeUnit.MINUTES.toMillis(10));\n",
                                      "Pool.java"));
  CHECK(setters.at("pools.main.url") == "mysql://db/shop");
  CHECK(setters.at("pools.main.max") == "12");
  CHECK(setters.at("pools.main.soft_idle_timeout") == "10min");
}

TEST_CASE("translate: pgxpool, parameters of the url and assignments in a program") {
  const Translation t = from("pgxpool", "postgres://me:pw@db:5432/app?sslmode=require&pool_max_conns=10&pool_max_conn_lifetime=1h30m\n", "url.txt");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.url") == "postgres://me:pw@db:5432/app?sslmode=require");
  CHECK(values.at("pools.main.max_lifetime") == "90min");
  accepted(t);
  const auto program = values_of(from("pgx", "config.MaxConns = 10\nconfig.MaxConnLifetime = time.Hour\nconfig.MaxConnIdleTime = 5 * time.Minute\n", "pool.go"));
  CHECK(program.at("pools.main.max") == "10");
  CHECK(program.at("pools.main.max_lifetime") == "1h");
  CHECK(program.at("pools.main.idle_timeout") == "5min");
}

TEST_CASE("translate: ioredis and redis-py") {
  const Translation t = from("ioredis", "const redis = new Redis({ host: 'r', port: 6379, password: 'pw', connectTimeout: 10000, maxRetriesPerRequest: 3, retryStrategy: (times) => Math.min(times * 50, 2000) });", "redis.js");
  CHECK(values_of(t).at("pools.main.url") == "redis://:pw@r:6379");
  CHECK(values_of(t).at("pools.main.connect_timeout") == "10s");
  CHECK(contains(remarks_of(t), "retryStrategy: in code: connect_backoff_max"));
  accepted(t);
  const auto python = values_of(from("redis-py", "pool = ConnectionPool(host=os.getenv('REDIS_HOST'), port=int(os.getenv('REDIS_PORT', 6379)), db=0, max_connections=20, socket_timeout=2)", "r.py"));
  CHECK(python.at("pools.main.url") == "redis://${REDIS_HOST}:${REDIS_PORT:-6379}/0");
  CHECK(python.at("pools.main.max") == "20");
  CHECK(python.at("pools.main.statement_timeout") == "2s");
}

TEST_CASE("translate: http.Agent and gRPC channels") {
  const auto agent = values_of(from("node-http", "const agent = new https.Agent({ keepAlive: true, maxSockets: 25, maxTotalSockets: 100, maxFreeSockets: 10, keepAliveMsecs: 1000, timeout: 60000 });", "agent.js"));
  CHECK(agent.at("pools.main.max") == "25");
  CHECK(agent.at("servers.main.total") == "100");
  CHECK(agent.at("pools.main.statement_timeout") == "1min");
  const Translation t = from("grpc", "channel = grpc.insecure_channel(target, options=[('grpc.max_receive_message_length', -1), ('grpc.keepalive_time_ms', 30000)])", "client.py");
  CHECK(values_of(t).at("pools.main.keepalive") == "30s");
  CHECK(contains(remarks_of(t), "grpc.max_receive_message_length: no equal"));
  accepted(t);
}

TEST_CASE("translate: Cassandra's pooling by distance, and more requests than the protocol carries") {
  const std::string config = R"({"clientOptions": {"contactPoints": ["10.0.0.1", "10.0.0.2"], "keyspace": "shop", "localDataCenter": "dc1",
    "pooling": {"coreConnectionsPerHost": {"0": 2, "1": 1}, "maxConnectionsPerHost": {"0": 8, "1": 2}, "maxRequestsPerConnection": LIMIT, "heartBeatInterval": 30000,
      "adaptivePooling": {"enabled": true, "targetUtilization": 0.7, "evaluationInterval": 30000}}}})";
  const auto with = [&](const std::string& limit) { return std::string(config).replace(config.find("LIMIT"), 5, limit); };
  const Translation t = from("cassandra", with("32768"), "cassandra.json");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.url") == "cassandra://10.0.0.1/shop");
  CHECK(values.at("pools.main.min_idle") == "2");
  CHECK(values.at("pools.main.max") == "8");
  CHECK(values.at("pools.main.keepalive") == "30s");
  CHECK(values.at("pools.main.adaptive.every") == "30s");
  CHECK(contains(remarks_of(t), "clientOptions.pooling.maxConnectionsPerHost.1: no equal: "));
  accepted(t);
  CHECK(contains(joined(from("cassandra", with("65536"), "cassandra.json").problems), "max_requests_per_connection = 65536"));
}

TEST_CASE("translate: Cassandra's batches become groups; failover, discovery and regions have no equal, and each says why") {
  const Translation t = from("cassandra", R"({"clientOptions": {"contactPoints": ["10.0.0.1"], "keyspace": "shop",
    "pooling": {"enableBatching": true, "batchSize": 100, "batchTimeout": 10},
    "failover": {"enabled": true, "maxRetries": 3, "retryDelay": 1000, "backoffMultiplier": 2, "autoDiscovery": true, "discoveryInterval": 60000},
    "regionSettings": {"us-east-1": {"maxConnections": 16, "priority": 1}, "eu-west-1": {"maxConnections": 4, "priority": 3}}}})", "cassandra.json");
  const auto values = values_of(t);
  CHECK(values.at("pools.main.pipeline") == "all");
  CHECK(values.at("pools.main.pipeline_group") == "100");
  CHECK_FALSE(values.contains("pools.main.max"));  // a region's is not the pool's
  const std::string remarks = remarks_of(t);
  for (const char* name : {"batchTimeout", "enabled", "backoffMultiplier", "autoDiscovery", "discoveryInterval", "us-east-1.maxConnections", "eu-west-1.priority"}) {
    INFO(name << " in\n" << remarks);
    CHECK(contains(remarks, std::string(name) + ": no equal: "));
  }
  CHECK(contains(remarks, "maxRetries: in code: pool::RetryLoop"));
  accepted(t);
  CHECK(values_of(from("cassandra", R"({"contactPoints": ["h"], "enableBatching": false})", "cassandra.json")).at("pools.main.pipeline") == "off");
}

TEST_CASE("translate: whoever refused to wait learns what queue_limit 0 means, and where it means more than there") {
  const auto said = [](const std::string& ecosystem, const std::string& setting) {
    const Translation t = from(ecosystem, "{\"host\": \"db\", \"" + setting + "\": false}", "pool.json");
    CHECK(values_of(t).at("pools.main.queue_limit") == "0");
    accepted(t);
    return to_text(t);
  };
  CHECK(contains(said("mysql2", "waitForConnections"), "a caller waits for the connect that is begun for it"));
  CHECK(contains(said("mongodb", "bufferCommands"), "there calls fail while disconnected; here, too, and also where"));
  CHECK(contains(said("ioredis", "enableOfflineQueue"), "there calls fail while disconnected; here, too, and also where"));
  const Translation waits = from("mysql2", R"({"host": "db", "waitForConnections": true})", "pool.json");
  CHECK_FALSE(values_of(waits).contains("pools.main.queue_limit"));
}

TEST_CASE("translate: a clustered application's variables with double underscores") {
  const Translation t = from("clustered", "APP_WORKERS=-1\nAPP_DATABASE__HOST=db\nAPP_DATABASE__CONNECTIONLIMIT=5\nAPP_DATABASE__ACQUIRETIMEOUT=60000\n", ".env.production");
  const auto values = values_of(t);
  CHECK(values.at("workers") == "auto");
  CHECK(values.at("pools.main.max") == "5");
  CHECK(values.at("pools.main.acquire_timeout") == "1min");
  accepted(t);
}

TEST_CASE("translate: an unknown key is named with its line and what was meant, and the rest is translated") {
  const Translation t = from("sqlalchemy", "create_engine(\"postgresql://db/app\",\n  pool_sise=3,\n  max_overflow=2,\n  frobnicate=True)", "engine.py");
  REQUIRE(t.problems.size() == 2);
  CHECK(contains(t.problems[0], "engine.py:2: pool_sise = 3: "));
  CHECK(contains(t.problems[0], "did you mean \"pool_size\"?"));
  CHECK(contains(t.problems[1], "engine.py:4: frobnicate = true: is no option of SQLAlchemy"));
  CHECK_FALSE(contains(t.problems[1], "did you mean"));
  CHECK(values_of(t).at("pools.main.max") == "2");
  CHECK(contains(to_text(t), "// Not understood, or not possible:"));
}

TEST_CASE("translate: a wrong unit is refused with the number to write") {
  const auto problem = [](const std::string& value) { return joined(from("pg", "new Pool({ host: 'db', idleTimeoutMillis: " + value + " })", "pool.js").problems); };
  CHECK(contains(problem("\"30s\""), "idleTimeoutMillis = \"30s\": has no unit there: idleTimeoutMillis counts milliseconds; write 30000"));
  CHECK(contains(problem("\"soon\""), "write a number, such as 30000"));
  CHECK(contains(problem("-5"), "cannot be negative"));
  CHECK(contains(problem("compute(3)"), "is computed by the program; write idle_timeout yourself"));
  CHECK(contains(joined(from("pgxpool", "postgres://db/app?pool_max_conn_lifetime=often", "u").problems), "is no duration"));
  // Thirty thousand seconds were most likely meant as milliseconds.
  CHECK(contains(remarks_of(from("sqlalchemy", "create_engine('postgresql://db/app', pool_timeout=30000)", "e.py")), "pool_timeout, which counts seconds: check the unit"));
}

TEST_CASE("translate: what our configuration refuses is said in their words") {
  CHECK(contains(joined(from("pg", "new Pool({ host: 'db', max: 0 })", "pool.js").problems), "pools.main.max = 0 (pool.js:1 max): "));
  CHECK(contains(joined(from("pg", "new Pool({ host: 'db', max: 2, min: 5 })", "pool.js").problems), "must not be more than pools.main.max = 2"));
  CHECK(contains(joined(from("pg", "new Pool({ host: 'db', max: 'many' })", "pool.js").problems), "pools.main.max = many"));
}

TEST_CASE("translate: malformed files are refused with line and remedy, without a value that may be secret") {
  CHECK(contains(refused("pg", "const pool = new Pool({\n  max: 5,\n", "pool.js"), "pool.js:1: the { that is opened here is never closed; close it"));
  CHECK(contains(refused("pg", "new Pool({ max: 5 ]", "pool.js"), "pool.js:1: the ] here closes nothing"));
  CHECK(contains(refused("pg", "new Pool({\n password: 'top-secret\n})", "pool.js"), "pool.js:2: the string that begins here has no end"));
  CHECK_FALSE(contains(refused("pg", "new Pool({\n password: 'top-secret\n})", "pool.js"), "top-secret"));
  CHECK(contains(refused("pg", "{\"max\": 5,, }", "pool.json"), "pool.json:1: not valid JSON"));
  CHECK(contains(refused("pg", "max: [1\n", "pool.yaml"), "pool.yaml:"));
  CHECK(contains(refused("laravel", "DB_HOST=db\nwhat is this\n", ".env"), ".env:2: is no NAME=value"));
  CHECK(contains(refused("pg", " \n", "pool.js"), "is empty"));
  CHECK(contains(refused("pg", "let x;", "pool.js"), "holds no setting"));
  CHECK_FALSE(contains(joined(from("pg", "new Pool({ host: 'db', passwrod: 'top-secret' })", "pool.js").problems), "did you mean \"host\""));
}

TEST_CASE("translate: secrets are shown in no message") {
  const Translation t = from("pg", "new Pool({ host: 'db', api_token: 'top-secret', connectionString2: 'postgres://me:hidden@db/x' })", "pool.js");
  CHECK(t.problems.size() == 2);
  CHECK_FALSE(contains(joined(t.problems), "top-secret"));
  CHECK_FALSE(contains(joined(t.problems), "hidden"));
}

TEST_CASE("translate: a setting that is given twice is said, and the later one holds") {
  const Translation t = from("pg", "new Pool({ host: 'db', statement_timeout: 1000,\n query_timeout: 2000 })", "pool.js");
  CHECK(values_of(t).at("pools.main.statement_timeout") == "2s");
  CHECK(contains(remarks_of(t), "query_timeout: also sets pools.main.statement_timeout"));
}

TEST_CASE("translate: every row leads to an option that exists, and names are unique within an ecosystem") {
  std::size_t rows = 0;
  for (const Ecosystem& ecosystem : ecosystems()) {
    std::map<std::string, int> names;
    for (const ForeignOption& option : ecosystem.options) {
      ++rows;
      INFO(std::string(ecosystem.name) << ": " << std::string(option.name));
      CHECK(++names[std::string(option.name)] == 1);
      const bool is_option = option.conversion == Conversion::same || option.conversion == Conversion::duration || option.conversion == Conversion::sum;
      if (is_option) {
        const auto match = find_option(filled(option.ours, "main"), Spelling::exact);
        REQUIRE(match);
        if (option.conversion == Conversion::duration) {
          CHECK(match->option->type == Type::duration);
          CHECK_FALSE(option.unit.empty());
        }
        for (const std::string_view special : words_of(option.special)) {
          const std::string_view ours = special.substr(special.find('=') + 1);
          if (!ours.empty()) CHECK(parse_value(*match->option, Raw{Raw::Form::words, std::string(ours)}).problem == "");
        }
      } else if (option.conversion == Conversion::none) {
        CHECK_FALSE(option.remark.empty());
      } else {
        CHECK_FALSE(option.ours.empty());
      }
    }
  }
  CHECK(rows >= 250);
  CHECK(find_ecosystem("SQLAlchemy"));
  CHECK(find_ecosystem("Psycopg_Pool") == find_ecosystem("psycopg3"));
  CHECK(ecosystem_suggestion("sqlalchmy") == "sqlalchemy");
}

TEST_CASE("docs/guides/coming-from.md is printed from the table (sluicectl config translate --table writes it)") {
  std::ostringstream page;
  print_coming_from(page);
  const bool equal = page.str() == read_source("docs/guides/coming-from.md");
  CHECK(equal);
}
