#!/usr/bin/env python3
"""GET /users/{id} of the orders application on PostgreSQL, two workers and eight connections, beside Node (cluster of two, pg), Go (net/http,
pgx) and gunicorn (two processes of four threads, psycopg): the same table on the same private server, wrk on loopback, taking turns.

  tests/bench/web.py --binaries build/release/bin --peers build/peers [--pairs 5] [--seconds 2]

Prints `name ratio value` lines. Exit status 77 if there is no PostgreSQL or no wrk here.
"""
import argparse
import glob
import http.client
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

USERS = 1000
FIGURES = {"node": 4.0, "go": 1.3, "gunicorn": 8.0}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postgres:
    """A private server, as a user of its own if we are root."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="sluice-bench-")
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))[-1]
        self.data = self.directory + "/data"
        self.port = free_port()
        self.user = {}
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.directory, owner.pw_uid, owner.pw_gid)
            self.user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with open(self.data + "/postgresql.conf", "a", encoding="utf-8") as settings:
            settings.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\nfsync = off\nshared_buffers = '256MB'\n")
        self.run("pg_ctl", "start", "-w", "-D", self.data, "-l", self.directory + "/server.log")
        self.query("CREATE ROLE app LOGIN")
        self.query("CREATE DATABASE app OWNER app")

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run([f"{self.bin}/{program}", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/", check=True, **self.user)

    def query(self, sql: str) -> None:
        subprocess.run(["psql", "-XAtq", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-c", sql], stdout=subprocess.DEVNULL, check=True)

    def url(self) -> str:
        return f"postgresql://app@127.0.0.1:{self.port}/app"

    def close(self) -> None:
        self.run("pg_ctl", "stop", "-m", "fast", "-D", self.data)
        shutil.rmtree(self.directory, ignore_errors=True)


class Server:
    """One of those that are compared, on a port of its own; idle while the others have their turn."""

    def __init__(self, name: str, version: str, command: list[str], port: int, environment: dict[str, str] | None = None, directory: pathlib.Path | None = None):
        self.name, self.version, self.port = name, version, port
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env={**os.environ, **(environment or {})}, cwd=directory, start_new_session=True)
        end = time.monotonic() + 30
        while not self.answers():
            if time.monotonic() > end or self.process.poll() is not None:
                sys.exit(f"web: {name} does not answer: {' '.join(command)}")
            time.sleep(0.05)

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/users/7")
            answer = connection.getresponse()
            return answer.status == 200 and b"user7@example.com" in answer.read()
        except OSError:
            return False
        finally:
            connection.close()

    def rate(self, seconds: float, script: str) -> float:
        out = subprocess.run(["wrk", "-t1", "-c64", f"-d{max(1, round(seconds))}s", "-s", script, f"http://127.0.0.1:{self.port}/"], capture_output=True, text=True, check=True).stdout
        if bad := re.search(r"Non-2xx or 3xx responses: (\d+)", out):
            sys.exit(f"web: {self.name} answered {bad[1]} requests with an error")
        return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def version_of(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip().split("\n")[0]


def start_ours(binaries: pathlib.Path, database: Postgres, directory: str) -> Server:
    port = free_port()
    version = version_of([str(binaries / "orders"), "--version"])
    return Server("orders", version, [str(binaries / "orders"), "--workers", "2", "--pools.main.url", database.url(), "--servers.main.total", "9", "--http.listen", f"127.0.0.1:{port}",
                                      "--admin", "off", "--control", directory + "/control.sock", "--log.level", "warning"], port)


def start_peers(folder: pathlib.Path, database: Postgres) -> list[Server]:
    servers = []
    if (node := folder / "web_node/node_modules/pg").exists():
        port = free_port()
        servers.append(Server("node", f"Node {version_of(['node', '--version'])}, pg", ["node", "server.js", str(port), database.url()], port, directory=node.parents[1]))
    if (go := folder / "web_go/web").exists():
        port = free_port()
        servers.append(Server("go", f"{version_of(['go', 'version']).split()[2]}, pgx", [str(go), str(port), database.url()], port))
    if (library := folder / "web_python/lib").exists():
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "--workers", "2", "--threads", "4", "--bind", f"127.0.0.1:{port}", "app"]
        servers.append(Server("gunicorn", "gunicorn, psycopg", command, port, {"PYTHONPATH": str(library), "DATABASE_URL": database.url()}, library.parent))
    for name in FIGURES:
        if all(server.name != name for server in servers):
            print(f"# {name} is not installed: tests/bench/peers/install web_node web_go web_python", flush=True)
    return servers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    parser.add_argument("--peers", type=pathlib.Path, required=True)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    arguments = parser.parse_args()
    if not shutil.which("wrk") or not glob.glob("/usr/lib/postgresql/*/bin/initdb"):
        print("# no wrk or no PostgreSQL on this machine")
        return 77
    database = Postgres()
    servers = []
    try:
        script = database.directory + "/users.lua"
        with open(script, "w", encoding="utf-8") as lua:
            lua.write(f"request = function() return wrk.format('GET', '/users/' .. math.random({USERS})) end\n")
        os.chmod(database.directory, 0o755)
        control = tempfile.mkdtemp(prefix="sluice-bench-")
        ours = start_ours(arguments.binaries, database, control)  # it makes the table
        servers.append(ours)
        peers = start_peers(arguments.peers.resolve(), database)
        servers += peers
        for server in servers:
            server.rate(1, script)
        for peer in peers:
            mine, theirs = [], []
            for _ in range(arguments.pairs):
                mine.append(ours.rate(arguments.seconds, script))
                theirs.append(peer.rate(arguments.seconds, script))
            ratios = [a / b for a, b in zip(mine, theirs)]
            figure = FIGURES[peer.name]
            ratio = statistics.median(ratios)
            print(f"{'web.users_to_' + peer.name:<36} {ratio:9.3f} {statistics.median(mine):11.4g} /s   [{min(ratios):.3f} … {max(ratios):.3f} of {len(ratios)} pairs] × {peer.version} "
                  f"({statistics.median(theirs):.4g}/s); figure: at least {figure:g}, {'reached' if ratio >= figure else 'NOT reached'}", flush=True)
        shutil.rmtree(control, ignore_errors=True)
    finally:
        for server in servers:
            server.close()
        database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
