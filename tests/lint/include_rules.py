#!/usr/bin/env python3
"""Holds every #include <sluice/…> against the map in docs/architecture.md ("Modules, and who may include whom").

`A → B` there means: A may include B and whatever B may include. Nothing else is allowed, and the map has no cycle.
"""
import pathlib
import re
import sys

import sources

MAP = sources.ROOT / "docs" / "architecture.md"
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"](sluice/[^>"]+)[>"]', re.M)


def read_map(page: str) -> dict[str, set[str]]:
    """The arrows of the page's fenced blocks without a language: module → modules it names."""
    rules: dict[str, set[str]] = {}
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page, re.M | re.S):
        if language:
            continue
        for left, right in re.findall(r"((?:\w+, )*\w+) → ((?:\w+, )*\w+)", block):
            for module in left.split(", "):
                rules.setdefault(module, set()).update(right.split(", "))
    for named in list(rules.values()):
        for module in named:
            rules.setdefault(module, set())
    return rules


def reach(rules: dict[str, set[str]], module: str, path: tuple[str, ...] = ()) -> set[str]:
    """All that a module may include, itself too. Raises ValueError on a cycle."""
    if module in path:
        raise ValueError("cycle in the map: " + " → ".join(path[path.index(module):] + (module,)))
    allowed = {module}
    for other in rules[module]:
        allowed |= reach(rules, other, path + (module,))
    return allowed


def module_of(path: str) -> str | None:
    """framework/sluice/pool/pool.hpp, sluice/pool/pool.hpp → pool; sluice/launch.hpp → launch; apps/orders/web.cpp → apps."""
    parts = pathlib.PurePosixPath(path).parts
    if parts[0] == "apps":
        return "apps"
    if parts[0] in ("framework", "workers"):
        parts = parts[1:]
    if len(parts) < 2 or parts[0] != "sluice":
        return None
    return pathlib.PurePosixPath(parts[1]).stem if len(parts) == 2 else parts[1]


def check(rules: dict[str, set[str]], path: str, text: str) -> list[str]:
    module = module_of(path)
    if module is None or module not in rules:
        return [f"{path}:1: belongs to no module of the map in docs/architecture.md"]
    allowed = reach(rules, module)
    findings = []
    for match in INCLUDE.finditer(text):
        target = module_of(match.group(1))
        if target not in allowed:
            findings.append(f"{path}:{sources.line_of(text, match.start(1))}: {module} may not include <{match.group(1)}>; "
                            f"allowed: {', '.join(sorted(allowed))}")
        elif module == "drivers" and target == "drivers" and pathlib.PurePosixPath(path).parts[3] != match.group(1).split("/")[2]:
            findings.append(f"{path}:{sources.line_of(text, match.start(1))}: one driver may not include another: <{match.group(1)}>")
    return findings


def prove() -> None:
    """The lint finds what it must and nothing else."""
    rules = read_map("```text\nx → y\n```\n```\nbase → core   pool → base\ndrivers, apps → pool\n```\n")
    assert rules == {"base": {"core"}, "core": set(), "pool": {"base"}, "drivers": {"pool"}, "apps": {"pool"}}, rules
    assert check(rules, "framework/sluice/pool/a.cpp", "#include <sluice/core/x.hpp>\n#include <vector>\n") == []
    assert len(check(rules, "framework/sluice/base/a.cpp", "\n#include <sluice/pool/x.hpp>\n")) == 1
    assert len(check(rules, "framework/sluice/base/a.cpp", '#  include "sluice/pool/x.hpp"\n')) == 1
    assert len(check(rules, "framework/sluice/other/a.cpp", "")) == 1
    assert len(check(rules, "framework/sluice/drivers/a/a.cpp", "#include <sluice/drivers/b/b.hpp>")) == 1
    assert module_of("framework/sluice/launch.hpp") == "launch" and module_of("sluice/launch/x.hpp") == "launch"
    assert module_of("workers/sluice/workers/http.hpp") == "workers"
    try:
        reach({"a": {"b"}, "b": {"a"}}, "a")
    except ValueError:
        return
    raise AssertionError("a cycle went unseen")


def main() -> None:
    prove()
    rules = read_map(MAP.read_text())
    if len(rules) < 10:
        sources.finish("include_rules", [f"{MAP.name}: the map was not found: a fenced block with lines like `budget → shm, config`"], "the map")
    files = sources.cpp("framework", "workers", "apps")
    findings = []
    try:
        for module in rules:
            reach(rules, module)
        for path in files:
            findings += check(rules, path.relative_to(sources.ROOT).as_posix(), path.read_text())
    except ValueError as error:
        findings.append(str(error))
    sources.finish("include_rules", findings, f"{len(files)} files, {len(rules)} modules")


if __name__ == "__main__":
    sys.exit(main())
