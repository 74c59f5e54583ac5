package sluice.bench;

import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.infra.Blackhole;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** getConnection() and close() by one thread; the pool's metrics and leak detection are off, as they are by default. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class Lease {
  private HikariDataSource pool;

  @Setup
  public void open() throws SQLException {
    pool = new Stub(0, 0).pool(8, 8);
    pool.getConnection().close();
  }

  @TearDown
  public void close() {
    pool.close();
  }

  @Benchmark
  public void cycle(Blackhole hole) throws SQLException {
    try (Connection connection = pool.getConnection()) {
      hole.consume(connection);
    }
  }

  /** Arguments: seconds to measure, after as long a warm-up of at least a second. Prints `hikaricp <version> <ns per cycle>`. */
  public static void main(String[] arguments) throws RunnerException {
    double seconds = Double.parseDouble(arguments[0]);
    TimeValue slice = TimeValue.milliseconds(Math.max(100, (long) (seconds * 1000 / 3)));
    TimeValue warm = TimeValue.milliseconds(Math.max(500, (long) (seconds * 500)));
    var options = new OptionsBuilder().include(Lease.class.getName() + ".cycle").forks(1).warmupIterations(3).warmupTime(warm)
        .measurementIterations(3).measurementTime(slice).verbosity(VerboseMode.SILENT).build();
    double nanos = new Runner(options).runSingle().getPrimaryResult().getScore();
    System.out.printf("hikaricp %s %.2f%n", version(), nanos);
  }

  static String version() {
    String jar = HikariDataSource.class.getProtectionDomain().getCodeSource().getLocation().getPath();
    return jar.replaceAll(".*HikariCP-(.*)\\.jar", "$1");
  }
}
