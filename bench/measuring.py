"""What the benches share: interleaved timing, ratios with intervals, the machine's own rates."""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

Work = Callable[[], object]
Times = dict[str, list[float]]
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def interleaved(work: Mapping[str, Work], rounds: int, clock: str = "wall") -> Times:
    """Seconds of every piece of work in every round; the order turns by one from round to round."""
    now, names = CLOCKS[clock], list(work)
    times: Times = {name: [] for name in names}
    for name in names:
        work[name]()  # warm
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            start = now()
            result = work[name]()
            times[name].append(now() - start)
            del result
    return times


@dataclass(frozen=True)
class Ratio:
    """A median over pairs with its 95 % bootstrap interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f}, {self.high:.3f}]"


def ratio(times: Times, ours: str, reference: str, resamples: int = 2000) -> Ratio:
    """Median of the ratios of the same round, and its percentile interval over resampled rounds."""
    pairs = [a / b for a, b in zip(times[ours], times[reference], strict=True)]
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(pairs, k=len(pairs))) for _ in range(resamples))
    low, high = medians[int(0.025 * resamples)], medians[int(0.975 * resamples) - 1]
    return Ratio(statistics.median(pairs), low, high)


def gemm_rate(m: int = 1024, k: int = 768, n: int = 3072, repeats: int = 15) -> float:
    """GFLOP/s of a float32 product with torch, the median of some."""
    x, w = torch.randn(m, k), torch.randn(n, k)
    times = interleaved({"mm": lambda: torch.nn.functional.linear(x, w)}, repeats)["mm"]
    return 2e-9 * m * k * n / statistics.median(times)


def read_rate(repeats: int = 7) -> float:
    """GB/s of reading 512 MB in memory with torch: the median of some, of its faster way.

    A sum may wait for its additions, a product with a vector for its rows: whichever does not.
    """
    x = torch.ones(1 << 17, 1 << 10)
    v = torch.ones(1 << 10)
    times = interleaved({"sum": x.sum, "product": lambda: torch.mv(x, v)}, repeats)
    return 4e-9 * x.numel() / min(statistics.median(t) for t in times.values())


def machine() -> str:
    """One line about the machine as it is now; the first numbers of a table."""
    load = Path("/proc/loadavg").read_text().split()[0]
    return (
        f"machine now: {gemm_rate():.0f} GFLOP/s float32, reads {read_rate():.1f} GB/s, "
        f"{torch.get_num_threads()} threads, load average {load}"
    )


@dataclass(frozen=True)
class Row:
    """Ours against a reference; `limit` of their ratio, or None where none is promised."""

    name: str
    ours: str
    reference: str
    limit: float | None


def show(title: str, times: Times, rows: list[Row]) -> list[str]:
    """Print a table and return the names of the rows beyond their limit."""
    print(f"\n{title}")
    print(f"{'':50}{'ours s':>9}{'ref. s':>9}{'limit':>8}  {'ratio [95 %]':24}")
    missed = []
    for row in rows:
        found = ratio(times, row.ours, row.reference)
        if row.limit is None:
            limit, verdict = "-", ""
        else:
            limit = f"{row.limit:.3f}"
            verdict = "reached" if found.median <= row.limit else "MISSED"
            if found.low <= row.limit < found.high:
                verdict += " (within noise)"
            missed += [row.name] if found.median > row.limit else []
        ours, reference = (statistics.median(times[key]) for key in (row.ours, row.reference))
        print(f"{row.name:50}{ours:9.3f}{reference:9.3f}{limit:>8}  {found!s:24}{verdict}")
    return missed


Part = Callable[[Path, argparse.Namespace], list[str]]


def run_parts(parts: Mapping[str, Part], arguments: argparse.Namespace) -> int:
    """Run those that `arguments.only` names, or all, each in a folder of its own; the exit code."""
    missed: list[str] = []
    for name in arguments.only or parts:
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory(prefix=f"bench_{name}_") as folder, torch.no_grad():
            print(f"\n{machine()}")
            missed += [f"{name}: {what}" for what in parts[name](Path(folder), arguments)]
    print(machine())
    print(f"\nmissed: {'; '.join(missed) or 'none'}")
    return 1 if missed else 0
