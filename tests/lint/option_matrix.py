#!/usr/bin/env python3
"""Each option has a test that fails when the option is ignored: option_matrix.py BIN_DIRECTORY [--ignore NAME]

tests/options.txt names the test of every option of pools and servers. Each runs twice: as it is, and then it must pass; and with
SLUICE_IGNORE_OPTION=<the option>, which puts the option back to its default where it is taken, and then it must fail. An option
of the reference page without a line fails, too.

--ignore NAME: only that option, ignored, with the test's own output: exit code 1 says that the test turned red. The name may be
written as in the table (pools.<name>.max_uses), with a pool's name (pools.main.max_uses), or bare (max_uses).
"""
import os
import pathlib
import re
import subprocess
import sys

import sources

LIST = sources.ROOT / "tests" / "options.txt"
REFERENCE = sources.ROOT / "docs" / "reference.md"
LINE = re.compile(r'(\S+)\s+(\w+)\s+"((?:[^"\\]|\\.)*)"')
TIMEOUT = 120


def rows() -> list[tuple[str, str, str]]:
    out = []
    for at, line in enumerate(LIST.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if not match:
            sys.exit(f'tests/options.txt:{at}: is not: OPTION EXECUTABLE "test case"')
        out.append(match.groups())
    return out


def options() -> list[str]:
    """The names of the reference page, which is generated from the option table."""
    return [name for name in re.findall(r"^\| `([^`]+)`", REFERENCE.read_text(), re.M) if name.startswith(("pools.<name>.", "servers.<name>."))]


def run(directory: pathlib.Path, executable: str, cases: list[str], ignored: str = "") -> tuple[int, str]:
    path = directory / executable
    if not os.access(path, os.X_OK):
        return -1, f"there is no test executable {executable}"
    environment = dict(os.environ, SLUICE_REQUIRE_SERVERS="1", SLUICE_IGNORE_OPTION=ignored)
    filters = ",".join(re.sub(r'[,\\"*]', "?", case) for case in cases)  # in doctest's filters a comma separates
    try:
        ended = subprocess.run([path, f"--test-case={filters}", "--case-sensitive=true", "--no-colors=true"], env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return 1, f"did not end within {TIMEOUT} s"
    found = re.search(r"test cases:\s*(\d+)", ended.stdout)
    if not found or int(found.group(1)) != len(set(cases)):
        return -1, f"{executable} ran {found.group(1) if found else 'no'} cases instead of {len(set(cases))}\n{ended.stdout}"
    return ended.returncode, ended.stdout


def bare(option: str) -> str:
    return option.split(".<name>.", 1)[-1]


def ignore(directory: pathlib.Path, name: str) -> int:
    chosen = [row for row in rows() if name in (row[0], row[0].replace("<name>", "main"), bare(row[0]))]
    if not chosen:
        import difflib
        near = difflib.get_close_matches(name, [row[0] for row in rows()] + [bare(row[0]) for row in rows()], 1, 0.4)
        print(f"option_matrix: tests/options.txt has no {name}" + (f"; did you mean {near[0]}?" if near else ""), file=sys.stderr)
        return 64
    red = 0
    for option, executable, case in chosen:
        code, output = run(directory, executable, [case], option)
        print(output)
        if code < 0:
            return 70
        red += code != 0
        print(f'option_matrix: {option} ignored: {executable} "{case}" {"fails, as it must" if code else "PASSES: it does not test the option"}')
    return 1 if red == len(chosen) else 0


def matrix(directory: pathlib.Path) -> int:
    findings, listed = [], rows()
    known = options()
    names = [row[0] for row in listed]
    findings += [f"{name} has no test in tests/options.txt" for name in known if name not in names]
    findings += [f"tests/options.txt: {name} is no option of docs/reference.md" for name in sorted(set(names)) if name not in known]

    by_executable: dict[str, list[str]] = {}
    for _, executable, case in listed:
        by_executable.setdefault(executable, []).append(case)
    for executable, cases in by_executable.items():
        code, output = run(directory, executable, cases)
        if code != 0:
            findings.append(f"{executable}: the tests do not pass as they are\n{output}")
    red = 0
    for option, executable, case in listed:
        code, output = run(directory, executable, [case], option)
        if code > 0:
            red += 1
        else:
            findings.append(f'{option}: {executable} "{case}" passes although the option is ignored' if code == 0 else f"{option}: {output}")
    for finding in findings:
        print(f"option_matrix: {finding}")
    print(f"option_matrix: {len(listed)} options x {len(listed)} tests, {red} turn red when ignored; {len(known)} options of pools and servers")
    return 1 if findings else 0


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.exit(matrix(pathlib.Path(sys.argv[1])))
    if len(sys.argv) == 4 and sys.argv[2] == "--ignore":
        sys.exit(ignore(pathlib.Path(sys.argv[1]), sys.argv[3]))
    print(__doc__, file=sys.stderr)
    sys.exit(64)
