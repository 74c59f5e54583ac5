#!/usr/bin/env python3
"""The repository's top level holds what docs/architecture.md names and nothing else."""
import sources

EXPECTED = {"framework", "workers", "apps", "configs", "tests", "docs", "scripts",
            "CMakeLists.txt", "CMakePresets.json", "README.md", "CHANGELOG.md", "LICENSE"}


def main() -> None:
    there = {path.relative_to(sources.ROOT).parts[0] for path in sources.tracked()}
    findings = [f"{name}: does not belong at the top level" for name in sorted(there - EXPECTED) if not name.startswith(".")]
    findings += [f"{name}: is missing" for name in sorted(EXPECTED - there)]
    sources.finish("top_level", findings, f"{len(there)} entries")


if __name__ == "__main__":
    main()
