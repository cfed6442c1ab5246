"""Which folder may include or import what: prints one line per breach, exit code 1 if any."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# csrc folder -> the folders whose headers it may include, itself apart
LAYERS = {
    "base": set(),
    "io": {"base"},
    "spec": {"base", "io"},
    "merge": {"base", "io", "spec"},
    "nn": {"base"},
    "model": {"base", "io", "spec", "nn"},
    "stats": {"base", "io", "spec", "nn", "model"},
    "directions": {"base", "io", "spec", "nn", "model", "stats"},
    "edits": {"base", "io", "spec", "nn", "model"},
}
LAYERS["bindings"] = set(LAYERS)
TORCH_FREE = {"base", "io", "spec", "merge"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
TORCH = re.compile(r"^(torch|ATen|c10|caffe2)/")
BANNED = {"torch/torch.h", "torch/nn.h", "torch/extension.h", "torch/all.h", "bits/stdc++.h"}
# foreign headers -> the folders that may include them, and whether headers of ours may
FOREIGN = {
    re.compile(r"^(pybind11/|torch/csrc/utils/pybind\.h|Python\.h)"): ({"bindings"}, True),
    re.compile(r"^nlohmann/"): ({"io"}, False),
    re.compile(r"^(Eigen|unsupported/Eigen)/"): ({"directions", "edits", "merge"}, False),
}

# Python modules that only read files must start without torch.
TORCH_FREE_PYTHON = [
    "__init__",
    "__main__",
    "checkpoints/checkpoint",
    "cli/__init__",
    "cli/ablate",
    "cli/options",
    "cli/inspect",
    "cli/diff",
    "cli/merge",
    "cli/soup",
    "cli/review",
    "cli/lineage",
    "merging/merged",
    "merging/merge",
    "merging/inputs",
    "merging/state_dicts",
    "merging/recipes",
    "merging/references",
    "merging/tasks",
    "merging/union",
    "merging/vocabularies",
    "methods/__init__",
    "methods/along",
    "methods/holding",
    "methods/method",
    "methods/sparing",
]


def cpp_breaches(path: Path, folder: str) -> Iterator[str]:
    """Yield what is wrong with the includes of one C++ file of `csrc/<folder>`."""
    header = path.suffix == ".h"
    text = path.read_text(encoding="utf-8")
    if header and "#pragma once" not in text:
        yield "has no #pragma once"
    for bracket, name in INCLUDE.findall(text):
        if bracket == '"':
            top = name.split("/")[0]
            if top not in LAYERS:
                yield f'includes "{name}": paths start at csrc, with the name of a layer'
            elif top != folder and top not in LAYERS[folder]:
                allowed = ", ".join(sorted(LAYERS[folder])) or "nothing"
                yield f'includes "{name}": {folder} may include {allowed}'
            continue
        if name in BANNED:
            yield f"includes <{name}>, which is banned (slow to compile)"
        if TORCH.match(name) and (folder in TORCH_FREE or "bindings/files" in path.as_posix()):
            yield f"includes <{name}>: this layer is torch-free"
        if name == "ATen/ATen.h" and header:
            yield "includes <ATen/ATen.h> in a header: <ATen/core/Tensor.h> is enough there"
        for pattern, (folders, in_headers) in FOREIGN.items():
            if pattern.match(name) and folder not in folders:
                yield f"includes <{name}>: only {', '.join(sorted(folders))} may"
            elif pattern.match(name) and header and not in_headers:
                yield f"includes <{name}> in a header: only in .cpp files"


def imports_at_start(tree: ast.Module) -> Iterator[str]:
    """Yield what importing a file imports: nothing inside functions or TYPE_CHECKING."""
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending.extend(node.orelse)
        elif isinstance(node, (ast.If, ast.Try, ast.With, ast.ClassDef)):
            pending.extend(
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)
            )


def python_breaches(path: Path) -> Iterator[str]:
    """Yield what is wrong with the imports of one Python file."""
    module = path.relative_to(ROOT / "python/lenswright").with_suffix("").as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name in imports_at_start(tree):
        slow = name.split(".")[0] in ("torch", "transformers", "numpy", "tokenizers")
        if module in TORCH_FREE_PYTHON and slow:
            yield f"imports {name} at start: this module must load without it"
        if name.split(".")[0] == "transformers":
            yield "imports transformers at start: import it where it is needed"
    for node in ast.walk(tree):
        direct = isinstance(node, ast.ImportFrom) and node.module == "lenswright._core"
        if direct and module != "__init__":
            yield "imports from lenswright._core: 'from lenswright import _core' checks torch first"


def main() -> int:
    breaches = []
    for path in sorted((ROOT / "csrc").rglob("*")):
        if path.suffix in (".h", ".cpp"):
            folder = path.relative_to(ROOT / "csrc").parts[0]
            found = cpp_breaches(path, folder) if folder in LAYERS else ["lies in an unknown layer"]
            breaches += [f"{path.relative_to(ROOT)} {what}" for what in found]
    for path in sorted((ROOT / "python/lenswright").rglob("*.py")):
        breaches += [f"{path.relative_to(ROOT)} {what}" for what in python_breaches(path)]
    print("\n".join(breaches) if breaches else "layers: every include and import goes one way")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
