#!/usr/bin/env python3
"""Cuts the C++ out of a page: code_of.py PAGE OUTPUT. Writes the file only if it would change, so that nothing is rebuilt for nothing."""
import pathlib
import re
import sys

page, output = map(pathlib.Path, sys.argv[1:])
blocks = re.findall(r"^```cpp\n(.*?)^```", page.read_text(), re.M | re.S)
if not blocks:
    sys.exit(f"{page}: shows no ```cpp block")
code = "".join(f"{block}\n" for block in blocks)
output.parent.mkdir(parents=True, exist_ok=True)
if not output.exists() or output.read_text() != code:
    output.write_text(code)
