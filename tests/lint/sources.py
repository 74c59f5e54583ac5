"""What the lints share: where the sources are, C++ text without comments and strings, and how a finding is reported."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# One alternative for each thing in which a quote or a slash means nothing.
_OPAQUE = re.compile(
    r'''//[^\n]*|/\*.*?\*/|R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+\'''', re.S)


def blank(text: str) -> str:
    """The same text, comments and literals replaced by blanks (literals keep their quotes), so that positions still agree."""

    def replace(match: re.Match) -> str:
        piece = match.group(0)
        inner = re.sub(r"[^\n]", " ", piece)
        if piece.startswith("/"):
            return inner
        return '"' + inner[1:-1] + '"'

    return _OPAQUE.sub(replace, text)


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def tracked(*under: str) -> list[pathlib.Path]:
    """Files under these folders of the repository (all without any), except what git ignores."""
    try:
        listing = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *under],
                                 capture_output=True, check=True)
        paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):  # an archive, or no git here
        starts = [ROOT / name for name in under] or [ROOT]
        paths = [path for start in starts for path in start.rglob("*") if not {"build", ".git"} & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in paths if path.is_file())


def cpp(*under: str) -> list[pathlib.Path]:
    return [path for path in tracked(*under) if path.suffix in (".hpp", ".cpp")]


def finish(lint: str, findings: list[str], looked_at: str) -> None:
    """Prints the findings and ends the process: 0 without any."""
    for finding in findings:
        print(finding)
    print(f"{lint}: {len(findings)} finding{'s' if len(findings) != 1 else ''} in {looked_at}")
    sys.exit(1 if findings else 0)
