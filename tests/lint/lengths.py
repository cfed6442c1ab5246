"""Reports files longer than they should be: no gate, as a long table may stay one file."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 250
KINDS = {".h", ".cpp", ".py", ".cmake"}


def main() -> None:
    files = [
        (path.read_text(encoding="utf-8").count("\n"), path.relative_to(ROOT))
        for folder in ("csrc", "python", "tests", "bench", "examples", "cmake")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in KINDS and path.is_file()
    ]
    lengths = sorted(lines for lines, _ in files)
    print(f"lengths: {len(files)} files, {sum(lengths)} lines, median {lengths[len(lengths) // 2]}")
    for lines, path in sorted(files, reverse=True):
        if lines > LIMIT:
            print(f"  {lines} lines (more than {LIMIT}): {path}")


if __name__ == "__main__":
    main()
