#!/usr/bin/env python3
"""Holds docs/features.md: features.py BIN_DIRECTORY [TIMEOUT_SECONDS]

Every row (1–172, N1–N12, and what follows as N13, N14, …) is there exactly once, with a state of `works` or `not yet`. A row that works names at least one test
as `executable: "test case"`; each is run, must exist, must not be skipped, must assert something and must pass. With
../shared/features.md beside the repository its rows are compared by number and name too.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from collections import defaultdict

import sources

PAGE = sources.ROOT / "docs" / "features.md"
ORIGIN = sources.ROOT.parent / "shared" / "features.md"
NUMBERS = [str(number) for number in range(1, 173)] + [f"N{number}" for number in range(1, 13)]
STATES = ("works", "not yet")
SIDE_BY_SIDE = 3
PORTION = 12  # cases of one executable that run one after the other
TEST = re.compile(r'(\w+): "((?:[^"\\]|\\.)*)"')


def read_rows(page: str) -> tuple[dict[str, dict[str, str]], list[str]]:
    rows: dict[str, dict[str, str]] = {}
    findings = []
    for at, line in enumerate(page.splitlines(), 1):
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells or not re.fullmatch(r"N?\d+", cells[0]):
            continue
        if len(cells) != 6:
            findings.append(f"docs/features.md:{at}: row {cells[0]} has {len(cells)} cells, not 6")
            continue
        if cells[0] in rows:
            findings.append(f"docs/features.md:{at}: row {cells[0]} is there twice")
        row = dict(zip(("number", "row", "here", "where", "test", "state"), cells), line=str(at))
        if row["state"] not in STATES:
            findings.append(f"docs/features.md:{at}: row {cells[0]}: state `{row['state']}` is neither of {STATES}")
        if row["state"] == "works" and not TEST.search(row["test"]):
            findings.append(f"docs/features.md:{at}: row {cells[0]} works, but names no test as `executable: \"test case\"`")
        rows[cells[0]] = row
    findings += [f"docs/features.md: row {number} is missing" for number in NUMBERS if number not in rows]
    further = [number for number in rows if number not in NUMBERS]
    expected = [f"N{number}" for number in range(13, 13 + len(further))]
    findings += [f"docs/features.md: row {number} is neither one of 1–172, N1–N12 nor the next of N13, N14, …" for number in further if number not in expected]
    return rows, findings


def compare(rows: dict[str, dict[str, str]]) -> list[str]:
    if not ORIGIN.exists():
        print("features: skipped: the comparison with ../shared/features.md, which is not here")
        return []
    listed = re.sub(r"\s+", " ", re.sub(r"^(#.*|[A-Z][^·]*)$", "", ORIGIN.read_text(), flags=re.M))
    numbers = re.findall(r"(?:^|· |\s)(N?\d{1,3}) (?=\S)", listed)
    known = [number for number in numbers if number in NUMBERS]
    return [f"docs/features.md: row {number} of ../shared/features.md is missing" for number in known if number not in rows]


def run_cases(executable: pathlib.Path, names: list[str], timeout: float) -> dict[str, str]:
    """What is wrong with these test cases of one executable, by name; all are run in one go."""
    if not os.access(executable, os.X_OK):
        return {name: f"there is no test executable {executable.name}" for name in names}
    environment = dict(os.environ, SLUICE_REQUIRE_SERVERS="1")
    with tempfile.TemporaryDirectory() as directory:
        report = pathlib.Path(directory) / "report.xml"
        # In doctest's filters a comma separates and ? stands for any character.
        filters = ",".join(re.sub(r'[,\\"*]', "?", name) for name in names)
        try:
            ended = subprocess.run([executable, f"--test-case={filters}", "--case-sensitive=true", "--reporters=xml", f"--out={report}"],
                                   env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
            tree = xml.fromstring(report.read_bytes())
        except subprocess.TimeoutExpired:
            return {name: f"{executable.name} did not end within {timeout:.0f} s" for name in names}
        except (OSError, xml.ParseError) as error:
            return {name: f"{executable.name} left no readable report: {error}" for name in names}
    wrong = {}
    cases = {case.get("name"): case for case in tree.iter("TestCase")}
    for name in names:
        case = cases.get(name)
        if case is None:
            wrong[name] = f"{executable.name} has no test case of this name"
        elif case.get("skipped") == "true":
            wrong[name] = "is skipped"
        else:
            asserts = case.find("OverallResultsAsserts")
            if asserts is None or asserts.get("test_case_success") != "true":
                wrong[name] = "fails" if asserts is not None else f"did not end (exit code {ended.returncode})"
            elif asserts.get("successes") == "0" and asserts.get("expected_failures") in (None, "0"):
                wrong[name] = "asserts nothing"
    return wrong


def prove() -> None:
    rows, findings = read_rows('| 1 | a | b | c | unit_x: "A, b" | works |\n| 1 | a | b | c |  | works |\n| 2 | a | b | c |  | perhaps |\n| 3 | a |\n| 999 | a | b | c | | not yet |\n| N13 | a | b | c | | not yet |\n| N16 | a | b | c | | not yet |')
    text = "\n".join(findings)
    for expected in ("row 1 is there twice", "row 1 works, but names no test", "`perhaps`", "row 3 has 2 cells", "row N12 is missing", "row 999 is neither", "row N16 is neither"):
        assert expected in text, expected
    assert "row N13" not in text
    assert TEST.findall('unit_x: "A, b"<br>hazards: "C"') == [("unit_x", "A, b"), ("hazards", "C")]


def main() -> None:
    prove()
    directory = pathlib.Path(sys.argv[1])
    timeout = float(sys.argv[2]) if len(sys.argv) > 2 else 600
    rows, findings = read_rows(PAGE.read_text())
    findings += compare(rows)
    wanted: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for number, row in rows.items():
        if row["state"] == "works":
            for executable, name in TEST.findall(row["test"]):
                wanted[executable][name].append(number)
    # Most cases wait for processes: a few go side by side.
    portions = [(executable, list(names)[at:at + PORTION]) for executable, names in sorted(wanted.items()) for at in range(0, len(names), PORTION)]
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        results = list(threads.map(lambda portion: run_cases(directory / portion[0], portion[1], timeout), portions))
    for executable, names in sorted(wanted.items()):
        wrong = {name: what for portion, result in zip(portions, results) if portion[0] == executable for name, what in result.items()}
        findings += [f"docs/features.md: row {', '.join(names[name])}: {executable}: \"{name}\": {what}" for name, what in wrong.items()]
        print(f"features: {executable}: {len(names) - len(wrong)} of {len(names)} cases passed", flush=True)
    works = sum(row["state"] == "works" for row in rows.values())
    sources.finish("features", findings, f"{len(rows)} rows, {works} of which work")


if __name__ == "__main__":
    main()
