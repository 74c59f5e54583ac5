#!/usr/bin/env python3
"""Sums up one run of ctest: totals.py RESULTS.xml FINDINGS_DIRECTORY

Counts test cases, not executables: what each doctest executable says of itself; a test without that line (lint, package)
counts as one. A test that failed without a failed case (crash, timeout, sanitizer) adds one failure, and so does every
file of sanitizer findings. Names what failed, with what it said, then prints the totals as the last line. Exit code 1 if anything failed.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as xml

CASES = re.compile(r"\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# What XML 1.0 forbids and a test's output may hold all the same.
FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
LONG = 8000  # characters
FINDING = re.compile(r"(ERROR|WARNING|SUMMARY): (Address|Leak|Thread|UndefinedBehavior)Sanitizer|: runtime error: ")


def count(name: str, status: str, output: str) -> tuple[int, int, int]:
    """Passed, failed and skipped cases of one ctest test."""
    ran_well = status == "run"
    found = CASES.findall(COLOUR.sub("", output))
    if found:
        _, passed, failed, skipped = (int(number) for number in found[-1])
        if name.startswith("cluster_"):  # one file of an executable: the other files' cases are other tests
            skipped = 0
        return passed, failed if ran_well and passed + failed or failed else 1, skipped
    if status in ("notrun", "disabled"):
        return 0, 0, 1
    return (1, 0, 0) if ran_well else (0, 1, 0)


def cause(output: str) -> str:
    """The failed cases of a doctest executable with all that they said; else how the output ends."""
    cases = re.split(r"(?m)^={60,}$", COLOUR.sub("", output))
    failed = [case.strip() for case in cases if re.search(r"ERROR: ", case)]
    return "\n\n".join(case[:LONG] for case in failed) if failed else output[-LONG:]


def main(results: str, findings: str) -> int:
    passed = failed = skipped = 0
    try:
        root = xml.fromstring(FORBIDDEN.sub(b"?", pathlib.Path(results).read_bytes()))
    except (OSError, xml.ParseError) as error:
        print(f"totals: {results}: {error}; what to do: see ctest's lines above", file=sys.stderr)
        root = xml.Element("testsuite")
        failed = 1
    for case in root.iter("testcase"):
        status = case.get("status", "fail")
        output = case.findtext("system-out") or ""
        # ctest says notrun both for a skipped test and for one whose executable is missing; the latter is a failure.
        if status == "notrun" and case.find("skipped") is not None and "SKIP_RETURN_CODE" not in (case.find("skipped").get("message") or ""):
            status = "fail"
        if status == "run" and FINDING.search(output):
            status = "fail"
        p, f, s = count(case.get("name"), status, output)
        passed, failed, skipped = passed + p, failed + f, skipped + s
        if f or status == "fail":
            print(f"FAILED {case.get('name')}: {f or 1} of {max(p + f, 1)}\n{cause(output)}")
    for report in sorted(pathlib.Path(findings).glob("*")):
        failed += 1
        print(f"FAILED sanitizer {report.name}:\n{report.read_text(errors='replace')[:LONG]}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
