"""Are the stubs of the extension modules up to date? `--write` brings them up to date."""

from __future__ import annotations

import difflib
import importlib
import sys
import tempfile
from pathlib import Path

import torch  # noqa: F401 - the core finds LibTorch already in the process
from pybind11_stubgen import main as generate

PACKAGE = Path(__file__).resolve().parents[2] / "python/lenswright"
MODULES = ("_files", "_core")


def stub_of(module: str, folder: Path) -> str:
    """Generate the stub of `lenswright.<module>` and return its text."""
    native = importlib.import_module(f"lenswright.{module}")
    for value in vars(native).values():
        if isinstance(value, type) and value.__module__ == "lenswright":
            value.__module__ = native.__name__  # where it is defined, not where it is shown
    generate([f"lenswright.{module}", "--output-dir", str(folder), "--exit-code"])
    text = (folder / "lenswright" / f"{module}.pyi").read_text(encoding="utf-8")
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def main(argv: list[str]) -> int:
    stale = False
    with tempfile.TemporaryDirectory() as folder:
        for module in MODULES:
            path = PACKAGE / f"{module}.pyi"
            old = path.read_text(encoding="utf-8") if path.exists() else ""
            new = stub_of(module, Path(folder))
            if "--write" in argv:
                path.write_text(new, encoding="utf-8")
            elif old != new:
                stale = True
                lines = [text.splitlines() for text in (old, new)]
                print(
                    *difflib.unified_diff(*lines, path.name, "regenerated", lineterm=""), sep="\n"
                )
    if stale:
        print("stubs: out of date; type ./dev python tests/lint/stubs.py --write")
    else:
        print("stubs: up to date")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
