"""What the demonstration is held to, on the shipped model and on models trained from other seeds.

Each column is one `lenswright demo --json` in a process of its own: the shipped model (twice, to
see that the same call gives the same report), then `--train --seed 2` and `--train --seed 3`. Rows
are the demands the command itself checks, then equality of the two reports and the time. A missed
demand is marked and named; nothing is left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT = 60.0  # seconds on two free cores, without training


@dataclass(frozen=True)
class Told:
    """One run of the command: its demands by name, its report's digest, its seconds."""

    name: str
    criteria: dict[str, dict[str, Any]]
    digest: str
    seconds: float
    trained: bool


def tell(name: str, arguments: list[str], out: Path) -> Told:
    """Run the command in a new process; a demand it misses (exit code 1) is part of the table."""
    from lenswright.report import Report

    command = [sys.executable, "-m", "lenswright", "demo", "--json", "--out", str(out), *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {done.returncode}")
    data = json.loads(done.stdout)
    files = hashlib.sha256(Report(data).digest().encode())
    for file in sorted((out / "edited").iterdir()):
        files.update(file.name.encode() + file.read_bytes())
    rows = {row["name"]: row for row in data["criteria"]}
    return Told(name, rows, files.hexdigest(), seconds, "--train" in arguments)


def cell(told: Told, name: str) -> str:
    row = told.criteria.get(name)
    if row is None:
        return "-"
    return f"{row['reached']}{' MISSED' if row['passed'] is False else ''}"


def show(columns: list[Told], again: Told) -> list[str]:
    """Print the table; the names of what was missed, with the column's."""
    names = list(dict.fromkeys(name for told in columns for name in told.criteria))
    print(f"{'':52}{'limit':27}" + "".join(f"{told.name:>26}" for told in columns))
    for name in names:
        demand = next(t.criteria[name]["demand"] for t in columns if name in t.criteria)
        print(f"{name:52}{demand:27}" + "".join(f"{cell(told, name):>26}" for told in columns))
    same = columns[0].digest == again.digest
    print(f"{'same report and checkpoint twice':52}{'yes':27}{'yes' if same else 'no MISSED':>26}")
    times = "".join(
        f"{f'{told.seconds:.0f} s' + (' with training' if told.trained else ''):>26}"
        for told in columns
    )
    print(f"{'time':52}{'<= 60 s (without training)':27}{times}")
    missed = [
        f"{told.name}: {name}"
        for told in columns
        for name, row in told.criteria.items()
        if row["passed"] is False
    ]
    missed += [] if same else ["shipped: same report twice"]
    missed += [f"{t.name}: time" for t in columns if not t.trained and t.seconds > LIMIT]
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seeds", type=int, nargs="*", default=[2, 3], help="to train (default 2 3)"
    )
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="bench_demo_"))
    try:
        shipped, again = (tell("shipped", [], work / f"shipped-{i}") for i in (1, 2))
        columns = [shipped] + [
            tell(f"seed {seed}", ["--train", "--seed", str(seed)], work / f"seed-{seed}")
            for seed in arguments.seeds
        ]
    finally:
        shutil.rmtree(work)
    missed = show(columns, again)
    print(f"\nmissed: {'; '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
