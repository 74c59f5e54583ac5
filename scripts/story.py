#!/usr/bin/env python3
"""What scripts/demo plays: story.py --orders EXECUTABLE [--short] [--plain]

Every figure that it shows is read from PostgreSQL (pg_stat_activity, the server's log) or from the instance's own API while it
happens. Each scene ends with claims; the exit code is 1 if one of them did not hold, 77 if there is no PostgreSQL here and
SLUICE_REQUIRE_SERVERS is not 1.
"""
import argparse
import glob
import http.client
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

MAX_CONNECTIONS = 20
REFUSED = ("too many clients", "connection slots are reserved")


class Screen:
    """Lines on standard output; on a terminal with colours, and with one live line at the bottom."""

    def __init__(self, plain: bool):
        self.live_on = sys.stdout.isatty() and not plain
        self.colours = self.live_on and "NO_COLOR" not in os.environ
        self.failed = 0

    def paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text

    def line(self, text: str = "") -> None:
        print(("\r\x1b[K" if self.live_on else "") + text, flush=True)

    def live(self, text: str) -> None:
        if self.live_on:
            columns = shutil.get_terminal_size().columns
            print("\r\x1b[K" + text[: columns - 1], end="", flush=True)

    def scene(self, title: str, text: str) -> None:
        self.line()
        self.line(self.paint("1;36", f"── {title} ") + self.paint("2", text))

    def claim(self, holds: bool, text: str) -> None:
        self.failed += not holds
        self.line("   " + (self.paint("1;32", "✔") if holds else self.paint("1;31", "✘ NOT SO:")) + " " + text)


class Postgres:
    """A private server of MAX_CONNECTIONS, as a user of its own if we are root; it watches its own sessions for us."""

    def __init__(self):
        directory = self.directory = tempfile.mkdtemp(prefix="sluice-demo-server-")
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))[-1]
        self.data = directory + "/data"
        self.log = directory + "/server.log"
        self.port = free_port()
        self.user = {}
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(directory, owner.pw_uid, owner.pw_gid)
            self.user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with open(self.data + "/postgresql.conf", "a", encoding="utf-8") as settings:
            settings.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\nmax_connections = {MAX_CONNECTIONS}\n"
                           "fsync = off\nauthentication_timeout = '2s'\nlog_min_messages = warning\nlc_messages = 'C'\n")
        self.start()
        self.peak = 0
        self.now = 0
        self.samples = 0
        self.watching = True
        self.query("postgres", "CREATE ROLE app LOGIN")
        self.query("postgres", "CREATE DATABASE app OWNER app")
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([f"{self.bin}/{program}", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", **self.user)
        if done.returncode != 0:
            sys.exit(f"demo: {program} failed: {done.stderr}")

    def start(self) -> None:
        self.run("pg_ctl", "start", "-w", "-D", self.data, "-l", self.log)

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "-m", "fast", "-D", self.data)

    def psql(self, *arguments: str) -> list[str]:
        return ["psql", "-XAtq", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", *arguments]

    def query(self, database: str, sql: str) -> str:
        return subprocess.run(self.psql("-d", database, "-c", sql), capture_output=True, text=True, check=True).stdout.strip()

    def watch(self) -> None:
        """Counts the application's sessions over one superuser connection, hundreds of times a second."""
        while self.watching:
            watcher = subprocess.Popen(self.psql("-d", "app"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                while self.watching:
                    watcher.stdin.write("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app';\n")
                    watcher.stdin.flush()
                    answer = watcher.stdout.readline()
                    if not answer:
                        break  # the server restarts
                    self.now = int(answer)
                    self.peak = max(self.peak, self.now)
                    self.samples += 1
                    time.sleep(0.003)
            except OSError:
                pass
            watcher.kill()
            watcher.wait()
            time.sleep(0.05)

    def begin(self) -> None:
        """From here on count anew."""
        self.peak = 0
        self.log_from = os.path.getsize(self.log)

    def refusals(self) -> int:
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(self.log_from)
            return sum(any(words in line for words in REFUSED) for line in log)

    def close(self) -> None:
        self.watching = False
        self.watcher.join()
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class Client(threading.Thread):
    """One keep-alive connection that asks again and again; to one worker only if `slot` is given. Counts its answers."""

    def __init__(self, port: int, target: str, slot: int | None = None):
        super().__init__(daemon=True)
        self.port, self.target, self.slot = port, target, slot
        self.answers = self.failures = 0
        self.stopping = False
        self.start()

    def connect(self) -> http.client.HTTPConnection:
        while True:  # whoever accepts: another one is tried until it is the right worker
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            connection.request("GET", "/ping")
            worker = json.load(connection.getresponse())["worker"]
            if self.slot is None or worker == self.slot or self.stopping:
                return connection
            connection.close()

    def run(self) -> None:
        connection = None
        while not self.stopping:
            try:
                connection = connection or self.connect()
                connection.request("GET", self.target)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    self.answers += 1
                else:
                    self.failures += 1
                    time.sleep(0.02)
                if answer.will_close:
                    connection = None
            except (OSError, http.client.HTTPException, ValueError):
                self.failures += 1
                connection = None
                time.sleep(0.02)


class Load:
    def __init__(self, port: int, count: int, target: str, slot: int | None = None):
        self.clients = [Client(port, target, slot) for _ in range(count)]

    def answers(self) -> int:
        return sum(client.answers for client in self.clients)

    def failures(self) -> int:
        return sum(client.failures for client in self.clients)

    def stop(self) -> None:
        for client in self.clients:
            client.stopping = True
        for client in self.clients:
            client.join()


class Orders:
    """The instance under test."""

    def __init__(self, executable: str, directory: str, database_port: int):
        self.executable = executable
        self.port, self.admin_port = free_port(), free_port()
        self.control = directory + "/orders.sock"
        self.log = open(directory + "/orders.log", "w", encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("APP_")}
        environment["DATABASE_URL"] = f"postgresql://app@127.0.0.1:{database_port}/app"
        self.process = subprocess.Popen([executable, "--workers", "web=4", "--instance", "demo", "--control", self.control,
                                         "--http.listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin_port}",
                                         "--pools.main.connect_backoff_max", "300ms"],
                                        env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)

    def api(self, path: str):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=2)
        try:
            connection.request("GET", path)
            return json.load(connection.getresponse())
        finally:
            connection.close()

    def ctl(self, *arguments: str) -> str:
        done = subprocess.run([self.executable, "ctl", *arguments, "--control", self.control], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"ctl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def ready(self, workers: int) -> bool:
        rows = self.api("/api/workers")
        return sum(row["state"] == "ready" for row in rows) == workers and not any(row["state"] in ("draining", "starting") for row in rows)

    def permits(self) -> list[dict]:
        return [row for row in self.api("/api/permits") if row["server"] == "main"]

    def held(self) -> dict[int, int]:
        """Connections by slot; the janitor's confirm permit is not among them."""
        out: dict[int, int] = {row["slot"]: 0 for row in self.api("/api/workers")}
        for row in self.permits():
            if row["slot"] in out and row["state"] not in ("free", "quarantined"):
                out[row["slot"]] += 1
        return out

    def limit(self, slot: int) -> int:
        return next(row["limit"] for row in self.api("/api/pools") if row["slot"] == slot and row["pool"] == "main")

    def close(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Story:
    def __init__(self, screen: Screen, executable: str, short: bool, directory: str):
        self.screen, self.executable, self.directory = screen, executable, directory
        self.pace = 0.25 if short else 1.0
        self.database = Postgres()

    def picture(self, load: Load | None = None) -> str:
        """Who holds what, in one line."""
        try:
            held = self.orders.held()
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return "   …"
        bars = "  ".join(f"web {slot} {'■' * count or '·'}" for slot, count in sorted(held.items()))
        return f"   {bars}   on the server: {self.database.now}" + (f"   answers: {load.answers()}" if load else "")

    def watch(self, seconds: float, load: Load | None = None) -> None:
        until = time.monotonic() + seconds * self.pace
        while time.monotonic() < until:
            self.screen.live(self.picture(load))
            time.sleep(0.1)

    def wait(self, what, limit: float = 20, load: Load | None = None) -> float | None:
        """Seconds until `what` was true; None: it never was."""
        began = time.monotonic()
        while time.monotonic() - began < limit:
            try:
                if what():
                    return time.monotonic() - began
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                pass
            self.screen.live(self.picture(load) if hasattr(self, "orders") else "")
            time.sleep(0.02)
        return None

    def by_hand(self) -> None:
        database, screen = self.database, self.screen
        screen.scene("Divided by hand", "every worker has a pool of 4, always open; 4 workers: 16 connections, which fits")
        script = self.directory + "/statement.sql"
        pathlib.Path(script).write_text("SELECT pg_sleep(0.01);\n", encoding="utf-8")
        pgbench = [f"{database.bin}/pgbench", "-n", "-h", "127.0.0.1", "-p", str(database.port), "-U", "app", "-c", "4", "-f", script]

        def run(workers: int, seconds: int) -> int:
            database.begin()
            started = [subprocess.Popen([*pgbench, "-T", str(seconds), "app"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(workers)]
            while any(worker.poll() is None for worker in started):
                screen.live(f"   {workers} workers × 4   on the server: {database.now}")
                time.sleep(0.1)
            return database.refusals()

        seconds = max(1, round(3 * self.pace))
        screen.claim(run(4, seconds) == 0, f"4 workers: {database.peak} sessions at most, nobody is refused")
        refused = run(8, seconds)
        screen.claim(refused > 0, f"a deploy, old and new side by side, 8 workers: FATAL: sorry, too many clients already ({refused} times in the server's log)")

    def sluice(self) -> None:
        database, screen = self.database, self.screen
        screen.scene("Sluice", "4 workers share one budget; nobody configured a number")
        database.begin()
        self.orders = Orders(self.executable, self.directory, database.port)
        orders = self.orders
        screen.claim(self.wait(lambda: orders.ready(4)) is not None, "4 workers are ready")
        server = orders.api("/api/status")["servers"][0]
        self.budget = server["budget"]
        screen.line("   " + screen.paint("2", server["arithmetic"] if "arithmetic" in server else f"budget {self.budget}"))
        load = Load(orders.port, 48, "/report?seconds=0.01")
        self.watch(5, load)
        screen.claim(load.answers() > 0 and load.failures() == 0, f"48 clients, {load.answers()} statements, {load.failures()} failures; {database.peak} sessions at most")
        load.stop()

    def one_slot(self) -> None:
        orders, screen = self.orders, self.screen
        screen.scene("Load on worker 0 alone", "its even part is small; the others are idle and lend")
        limit = orders.limit(0)
        load = Load(orders.port, 24, "/report?seconds=0.02", slot=0)
        most = 0

        def look() -> bool:
            nonlocal most
            most = max(most, orders.held().get(0, 0))
            return most > limit

        self.wait(look, 10, load)
        until = time.monotonic() + 5 * self.pace
        while time.monotonic() < until:
            look()
            screen.live(self.picture(load))
            time.sleep(0.05)
        screen.claim(most > limit, f"worker 0 holds {most} connections, its limit is {limit}; {load.failures()} failures")
        load.stop()

    def kill(self) -> None:
        orders, database, screen = self.orders, self.database, self.screen
        screen.scene("kill -9 in the middle of a statement", "what dies leaves its connections on the server")
        load = Load(orders.port, 24, "/report?seconds=0.01")
        long = Client(orders.port, "/report?seconds=20", slot=1)
        running = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'active' AND now() - query_start > interval '300 ms'"
        self.wait(lambda: int(database.query("app", running)) > 0, load=load)
        worker = next(row for row in orders.api("/api/workers") if row["slot"] == 1)
        long.stopping = True
        os.kill(worker["pid"], signal.SIGKILL)
        back = self.wait(lambda: any(row["slot"] == 1 and row["state"] == "ready" and row["generation"] > worker["generation"] for row in orders.api("/api/workers")), load=load)
        gone = self.wait(lambda: int(database.query("app", running)) == 0 and not any(row["state"] == "quarantined" for row in orders.permits()), load=load)
        self.watch(3, load)
        screen.claim(back is not None, f"worker 1 serves again after {back * 1000:.0f} ms" if back is not None else "worker 1 serves again")
        screen.claim(gone is not None, "its statement has ended on the server, and its permits came back only then")
        load.stop()

    def scale(self) -> None:
        orders, screen = self.orders, self.screen
        screen.scene("Scale 4 → 8 → 2", "under load; permits move only when the server has let go")
        load = Load(orders.port, 48, "/report?seconds=0.01")
        for workers in (8, 2):
            orders.ctl("scale", f"web={workers}")
            took = self.wait(lambda: orders.ready(workers), load=load)
            self.watch(4, load)
            shown = "  ".join(f"web {slot} {count}" for slot, count in sorted(orders.held().items()))
            screen.claim(took is not None, f"{workers} workers; held: {shown}")
        load.stop()
        screen.claim(load.failures() == 0, f"{load.answers()} statements, {load.failures()} failures")

    def restart(self) -> None:
        orders, database, screen = self.orders, self.database, self.screen
        screen.scene("The database restarts", "no worker dies of it, and nobody storms the newcomer")
        lives = {row["slot"]: row["generation"] for row in orders.api("/api/workers")}
        load = Load(orders.port, 48, "/report?seconds=0.01")
        self.watch(1, load)
        database.stop()
        self.watch(1.5, load)
        database.start()
        before = load.answers()
        took = self.wait(lambda: load.answers() > before + 50, load=load)
        self.watch(3, load)
        screen.claim(took is not None, f"statements flow again {took:.1f} s after it is back" if took is not None else "statements flow again")
        screen.claim({row["slot"]: row["generation"] for row in orders.api("/api/workers")} == lives, "every worker lives its old life")
        load.stop()

    def end(self) -> None:
        database, screen = self.database, self.screen
        code = self.orders.close()
        self.wait(lambda: int(database.query("app", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'")) == 0, 5)
        left = int(database.query("app", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"))
        screen.scene("What the server says", f"pg_stat_activity, looked at {database.samples} times, and its log")
        screen.claim(database.peak <= self.budget, f"most sessions under Sluice: {database.peak} of a budget of {self.budget} (max_connections {MAX_CONNECTIONS})")
        screen.claim(database.refusals() == 0, f"refused under Sluice: {database.refusals()}")
        screen.claim(left == 0 and code == 0, f"left behind: {left} sessions, exit code {code}")


def main() -> int:
    parser = argparse.ArgumentParser(description="The story of Sluice in a minute.")
    parser.add_argument("--orders", required=True, help="the example application's executable")
    parser.add_argument("--short", action="store_true", help="the same scenes in a quarter of the time")
    parser.add_argument("--plain", action="store_true", help="neither colours nor a live line")
    arguments = parser.parse_args()
    if not glob.glob("/usr/lib/postgresql/*/bin/postgres"):
        print("demo: PostgreSQL's server is not installed; what to do: scripts/packages demo", file=sys.stderr)
        return 1 if os.environ.get("SLUICE_REQUIRE_SERVERS") == "1" else 77
    screen = Screen(arguments.plain)
    directory = tempfile.mkdtemp(prefix="sluice-demo-")
    began = time.monotonic()
    story = None
    try:
        screen.line(screen.paint("1", f"A PostgreSQL of {MAX_CONNECTIONS} connections. Your workers, whatever happens to them, never open one too many."))
        story = Story(screen, os.path.abspath(arguments.orders), arguments.short, directory)
        for scene in (story.by_hand, story.sluice, story.one_slot, story.kill, story.scale, story.restart, story.end):
            scene()
        screen.line()
        verdict = screen.paint("1;32", "every claim held") if screen.failed == 0 else screen.paint("1;31", f"{screen.failed} claims did not hold")
        screen.line(f"{verdict} in {time.monotonic() - began:.0f} s")
        return 0 if screen.failed == 0 else 1
    finally:
        if story:
            if hasattr(story, "orders") and story.orders.process.poll() is None:
                os.killpg(story.orders.process.pid, signal.SIGKILL)
            if screen.failed and hasattr(story, "orders"):
                print(pathlib.Path(directory + "/orders.log").read_text(encoding="utf-8")[-3000:], file=sys.stderr)
            story.database.close()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
