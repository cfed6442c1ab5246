"""Each C++ type has its name for itself: prints one line per name of two, exit code 1 if any.

The libraries share a namespace, and a process binds a type's inline functions to whichever library
it loads first: two types of one name destroy each other's members.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TYPE = re.compile(r"^(?:struct|class|enum|enum class|union) (\w+)(?: final)?(?: :[^;]*)?\s*\{")
OPENS, CLOSES = re.compile(r"^namespace (\w+ )?\{"), re.compile(r"^\}\s*// namespace")


def types(source: str) -> list[str]:
    """The types that a file defines where others can see them: not in an unnamed namespace."""
    spaces: list[str] = []
    found = []
    for line in source.splitlines():
        if opened := OPENS.match(line):
            spaces.append(opened[1] or "")
        elif CLOSES.match(line):
            spaces.pop()
        elif (defined := TYPE.match(line)) and "" not in spaces:
            found.append("::".join([*(s.strip() for s in spaces), defined[1]]))
    return found


def breaches(root: Path = ROOT) -> list[str]:
    """Every name that stands for two types, with the files that define them."""
    where = defaultdict(list)
    for path in sorted((root / "csrc").rglob("*")):
        if path.suffix in (".h", ".cpp"):
            for name in types(path.read_text(encoding="utf-8")):
                where[name].append(str(path.relative_to(root)))
    return [f"{name}: {', '.join(files)}" for name, files in where.items() if len(files) > 1]


def main() -> int:
    found = breaches()
    for line in found:
        print(f"nouns: two types of one name: {line}")
    if not found:
        print("nouns: every type has its name for itself")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
