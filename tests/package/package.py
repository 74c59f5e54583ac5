#!/usr/bin/env python3
"""The package as its user meets it: package.py BUILD_DIRECTORY

Installs the build into a temporary prefix, takes the worker of README.md literally, builds it with find_package(sluice) by g++ and
by clang++, and lets it serve a request from SQLite. Also: nothing of the build's own flags or paths is in the package.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPILERS = ("g++", "clang++")
PROJECT = """cmake_minimum_required(VERSION 3.25)
project(hello LANGUAGES CXX)
find_package(sluice 0.1 REQUIRED)
add_executable(hello hello.cpp)
target_link_libraries(hello PRIVATE sluice::launch sluice::workers sluice::sqlite)
"""


def say(text: str) -> None:
    print(f"package: {text}", flush=True)


def run(*command: object, **options: object) -> str:
    """Output of a command; its failure ends the test with all that it said."""
    words = [str(word) for word in command]
    ended = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, **options)
    if ended.returncode != 0:
        sys.exit(f"package: FAILED: {' '.join(words)}: exit code {ended.returncode}\n{ended.stdout}")
    return ended.stdout


def readme_worker() -> str:
    match = re.search(r"^```cpp\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    if not match:
        sys.exit("package: FAILED: README.md shows no ```cpp block")
    return match.group(1)


def check_clean(prefix: pathlib.Path) -> None:
    for path in prefix.rglob("*.cmake"):
        text = path.read_text()
        for word in ("sluice_private_flags", "-Werror", "-Wall", "fsanitize", str(ROOT) + "/"):
            if word in text:
                sys.exit(f"package: FAILED: {path.relative_to(prefix)} holds `{word}`: the package must not carry what is the build's own")


def free_port() -> int:
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def fetch(url: str, process: subprocess.Popen, log: pathlib.Path) -> tuple[int, str]:
    """Status and body, as soon as the application answers; it has 20 seconds to come up."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"package: FAILED: {url}: {error}; exit code {process.poll()}\n{log.read_text()}")
            time.sleep(0.02)  # a poll of a port that is not bound yet, with a deadline


def serve(executable: pathlib.Path, directory: pathlib.Path) -> None:
    database = directory / "hello.db"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        connection.execute("INSERT INTO users VALUES (7, 'Ada')")
    port = free_port()
    log = directory / "hello.log"
    with log.open("w") as output:
        process = subprocess.Popen([executable, "--foreground", "--pools.main.url", f"sqlite:{database}", "--http.listen", f"127.0.0.1:{port}",
                                    "--admin.listen", "off", "--control", directory / "hello.sock"], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        found, body = fetch(f"http://127.0.0.1:{port}/users/7", process, log)
        unknown, _ = fetch(f"http://127.0.0.1:{port}/users/8", process, log)
        bad, reason = fetch(f"http://127.0.0.1:{port}/users/seven", process, log)
        process.terminate()
        code = process.wait(timeout=20)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if (found, unknown, bad, code) != (200, 404, 400, 0) or json.loads(body) != {"name": "Ada", "worker": 0} or "integer" not in reason:
        sys.exit(f"package: FAILED: served {found} {body}, {unknown}, {bad} {reason}, exit code {code}\n{log.read_text()}")


def main() -> None:
    build = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="sluice-package-") as name:
        directory = pathlib.Path(name)
        prefix = directory / "prefix"
        run("cmake", "--install", build, "--prefix", prefix)
        check_clean(prefix)
        say(f"installed: {sum(1 for path in prefix.rglob('*') if path.is_file())} files")
        source = directory / "source"
        source.mkdir()
        (source / "hello.cpp").write_text(readme_worker())
        (source / "CMakeLists.txt").write_text(PROJECT)
        for compiler in COMPILERS:
            if not shutil.which(compiler):
                sys.exit(f"package: FAILED: there is no {compiler}; scripts/packages test installs it")
            out = directory / compiler
            started = time.monotonic()
            run("cmake", "-S", source, "-B", out, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={compiler}", f"-DCMAKE_PREFIX_PATH={prefix}",
                "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror", "-DCMAKE_CXX_STANDARD=20", *(["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []))
            run("cmake", "--build", out)
            hello = out / "hello"
            usage = run(hello, "--help")
            if "--http.listen" not in usage:
                sys.exit(f"package: FAILED: {compiler}: --help names no --http.listen:\n{usage}")
            (out / "run").mkdir()
            serve(hello, out / "run")
            say(f"{compiler}: built, printed its help and served, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    os.environ.pop("DATABASE_URL", None)
    main()
