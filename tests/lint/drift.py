#!/usr/bin/env python3
"""What is said in two places says the same: drift.py APPLICATION [--write]

docs/reference.md is what the application prints of its option table (--write renews the page), and the version is the same in
CMakeLists.txt, core/version.hpp and at the top of CHANGELOG.md.
"""
import difflib
import re
import subprocess
import sys

import sources


def versions() -> list[str]:
    def find(name: str, pattern: str) -> str:
        match = re.search(pattern, (sources.ROOT / name).read_text(), re.M)
        return match.group(1) if match else f"(no version in {name})"

    build = find("CMakeLists.txt", r"^project\(sluice VERSION (\S+)")
    header = find("framework/sluice/core/version.hpp", r'version = "([^"]+)"')
    findings = [] if build == header else [f"CMakeLists.txt says version {build}, core/version.hpp says {header}"]
    released = find("CHANGELOG.md", r"^## \[?(?!Unreleased)([0-9][^\]\s]*)") if "## [Unreleased]" not in (sources.ROOT / "CHANGELOG.md").read_text() else build
    return findings + ([] if released == build else [f"CMakeLists.txt says version {build}, CHANGELOG.md's newest is {released}"])


def main() -> None:
    application = sys.argv[1]
    page = sources.ROOT / "docs" / "reference.md"
    printed = subprocess.run([application, "--print-reference"], capture_output=True, text=True, timeout=60)
    if printed.returncode != 0:
        sources.finish("drift", [f"--print-reference: exit code {printed.returncode}: {printed.stderr.strip()}"], "docs/reference.md")
    if "--write" in sys.argv[2:]:
        page.write_text(printed.stdout)
    written = page.read_text() if page.exists() else ""
    findings = versions()
    if written != printed.stdout:
        findings += list(difflib.unified_diff(written.splitlines(), printed.stdout.splitlines(), "docs/reference.md", "--print-reference", lineterm="", n=1))[:40]
        findings.append("docs/reference.md has drifted from the option table; what to do: tests/lint/drift.py build/release/bin/orders --write")
    sources.finish("drift", findings, "docs/reference.md and the versions")


if __name__ == "__main__":
    main()
