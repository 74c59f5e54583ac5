package sluice.bench;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.PrintWriter;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.Statement;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Logger;
import javax.sql.DataSource;

/** A database that does nothing, after as long as it is told to take. */
final class Stub implements DataSource {
  final AtomicInteger opened = new AtomicInteger();
  private final long connectMillis;
  private final long statementMillis;

  Stub(long connectMillis, long statementMillis) {
    this.connectMillis = connectMillis;
    this.statementMillis = statementMillis;
  }

  HikariDataSource pool(int minimumIdle, int maximum) {
    HikariConfig config = new HikariConfig();
    config.setDataSource(this);
    config.setMinimumIdle(minimumIdle);
    config.setMaximumPoolSize(maximum);
    config.setConnectionTimeout(5000);
    return new HikariDataSource(config);
  }

  @Override
  public Connection getConnection() {
    sleep(connectMillis);
    opened.incrementAndGet();
    return (Connection) Proxy.newProxyInstance(Stub.class.getClassLoader(), new Class<?>[] {Connection.class}, (self, method, arguments) ->
        switch (method.getName()) {
          case "createStatement" -> statement();
          case "isValid", "getAutoCommit" -> true;
          case "getTransactionIsolation" -> Connection.TRANSACTION_READ_COMMITTED;
          case "hashCode" -> System.identityHashCode(self);
          case "equals" -> self == arguments[0];
          case "toString" -> "stub";
          default -> empty(method.getReturnType());
        });
  }

  private Statement statement() {
    return (Statement) Proxy.newProxyInstance(Stub.class.getClassLoader(), new Class<?>[] {Statement.class}, (self, method, arguments) -> {
      if (method.getName().equals("execute")) sleep(statementMillis);
      if (method.getName().equals("hashCode")) return System.identityHashCode(self);
      if (method.getName().equals("equals")) return self == arguments[0];
      return empty(method.getReturnType());
    });
  }

  private static Object empty(Class<?> type) {
    if (type == boolean.class) return false;
    if (type == int.class) return 0;
    if (type == long.class) return 0L;
    return null;
  }

  private static void sleep(long millis) {
    try {
      if (millis > 0) Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override public Connection getConnection(String user, String password) { return getConnection(); }
  @Override public PrintWriter getLogWriter() { return null; }
  @Override public void setLogWriter(PrintWriter out) {}
  @Override public void setLoginTimeout(int seconds) {}
  @Override public int getLoginTimeout() { return 0; }
  @Override public Logger getParentLogger() { return Logger.getGlobal(); }
  @Override public <T> T unwrap(Class<T> type) { return null; }
  @Override public boolean isWrapperFor(Class<?> type) { return false; }
}
