package sluice.bench;

import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Many requests at once on a small pool of a server that is slow to connect to. */
public final class Spike {
  /** Arguments: requests, connect ms, statement ms, minimum, maximum. Prints `hikaricp <version> <opened beyond the minimum> <ms until the last>`. */
  public static void main(String[] arguments) throws Exception {
    int requests = Integer.parseInt(arguments[0]);
    int minimum = Integer.parseInt(arguments[3]);
    Stub server = new Stub(Long.parseLong(arguments[1]), Long.parseLong(arguments[2]));
    try (HikariDataSource pool = server.pool(minimum, Integer.parseInt(arguments[4]))) {
      while (pool.getHikariPoolMXBean().getIdleConnections() < minimum) Thread.sleep(10);
      // Once without pressure, so that the classes are loaded.
      try (Connection connection = pool.getConnection(); var statement = connection.createStatement()) {
        statement.execute("SELECT 1");
      }
      int before = server.opened.get();
      CountDownLatch start = new CountDownLatch(1);
      CountDownLatch ready = new CountDownLatch(requests);
      CountDownLatch done = new CountDownLatch(requests);
      for (int i = 0; i < requests; i++) {
        new Thread(() -> {
          ready.countDown();
          try {
            start.await();
            try (Connection connection = pool.getConnection(); var statement = connection.createStatement()) {
              statement.execute("SELECT 1");
            }
          } catch (Exception e) {
            throw new IllegalStateException(e);
          }
          done.countDown();
        }).start();
      }
      ready.await();
      long began = System.nanoTime();
      start.countDown();
      if (!done.await(30, TimeUnit.SECONDS)) throw new IllegalStateException("not every request was served");
      double millis = (System.nanoTime() - began) / 1e6;
      Thread.sleep(2000);  // what was begun for the spike arrives
      System.out.printf("hikaricp %s %d %.2f%n", Lease.version(), server.opened.get() - before, millis);
    }
  }
}
