#!/usr/bin/env python3
"""Words that must not be in the repository: paths of one machine, what does not compile here, and open ends without a text."""
import re

import sources

# Written in pieces, so that this file passes its own check.
RULES = [
    (re.compile(r"(?<![\w.$}/-])/(?:root|home/(?!dev/)\w+)/"), "a path of one machine"),
    (re.compile(r"\bstd::source_" + r"location\b"), "does not compile with clang 14 and libstdc++ 12; use boost::source_" + "location"),
    (re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b(?!\([^)]+\): \S|: \w+ \w+)"), "an open end without a text: say what is missing, as `TO" + "DO: two words or more`"),
]


def check(name: str, text: str) -> list[str]:
    return [f"{name}:{sources.line_of(text, match.start())}: `{match.group(0)}`: {reason}" for pattern, reason in RULES for match in pattern.finditer(text)]


def prove() -> None:
    for bad in ["see /ro" + "ot/x", '"/home/' + 'ada/x"', "std::source_" + "location::current()", "// TO" + "DO", "// TO" + "DO:", "// FIX" + "ME later"]:
        assert check("x", bad), bad
    for good in ["GET /users/1", "build/home/x", "boost::source_" + "location", "// TO" + "DO: close idle ones first", "$HOME/x/y", "networking"]:
        assert not check("x", good), good


def main() -> None:
    prove()
    findings, looked_at = [], 0
    for path in sources.tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # an image
        looked_at += 1
        findings += check(path.relative_to(sources.ROOT).as_posix(), text)
    sources.finish("words", findings, f"{looked_at} files")


if __name__ == "__main__":
    main()
