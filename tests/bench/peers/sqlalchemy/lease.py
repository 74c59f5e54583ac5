"""QueuePool.connect() and close() with a stub. Argument: seconds. Prints `sqlalchemy <version> <ns per cycle>`."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

import sqlalchemy  # noqa: E402
from sqlalchemy.pool import QueuePool  # noqa: E402


class Connection:
    def rollback(self) -> None:
        pass

    def commit(self) -> None:
        pass

    def close(self) -> None:
        pass


def cycles(pool: QueuePool, n: int) -> float:
    began = time.perf_counter_ns()
    for _ in range(n):
        pool.connect().close()
    return (time.perf_counter_ns() - began) / n


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    pool = QueuePool(Connection, pool_size=8, max_overflow=0)
    batch = 2_000
    cycles(pool, batch)
    found = []
    end = time.monotonic() + seconds
    while len(found) < 5 or time.monotonic() < end:
        found.append(cycles(pool, batch))
    found.sort()
    print(f"sqlalchemy {sqlalchemy.__version__} {found[len(found) // 2]:.2f}")


if __name__ == "__main__":
    main()
