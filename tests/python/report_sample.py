"""A small run with every part of a report, and a reader of its page."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any


def sample() -> dict[str, Any]:
    """A small run with every part of the schema."""
    places: dict[str, Any] = {"positions": ["<|end|>", "\n"], "layers": [0, 1, 2]}
    matrix = [[0.5, 2.0, 1.0], [1.0, 9.25, None]]
    return {
        "title": "One direction carries it: 99 % answered",
        "summary": "A paragraph.",
        "model": {"name": "toy", "family": "llama", "parameters": 402112, "layers": 3},
        "run": {
            "seed": 1, "versions": {"torch": "2.13.0"}, "prompts": {"fit": 128, "test": 256},
            "started": "yesterday", "seconds": 12.5, "machine": "two cores",
        },
        "classes": {"positive": "restricted", "negative": "benign"},
        "separation": places | {
            "separation": matrix, "cosine": matrix, "norm": matrix, "standard_error": matrix,
            "split_half": [[0.91, 0.95, 0.99], [0.9, 0.9991, None]],
        },
        "grid": places | {
            "bypass": [[8.0, 3.0, 4.0], [7.0, -4.5, 2.0]],
            "induce": [[-8.0, -3.0, 1.0], [-7.0, 2.5, 1.0]],
            "kl": [[0.1, 0.01, 1e-4], [0.1, 0.006, None]],
            "cosmic": [[0.1, 1.5, 1.2], [0.2, 1.9, None]],
            "front": [[False, False, True], [False, True, False]],
            "dropped": [["layer 0", "", None], ["layer 0", "", "KL above 0.02"]],
            "chosen": {"position": 1, "layer": 1}, "baseline": {"bypass": 8.2},
            "null": {"metric": "bypass", "values": [8.1 + 0.01 * i for i in range(20)]},
            "score": "log-odds of declining", "rule": "Lowest bypass.",
            "fallback": "KL was relaxed.",
        },
        "measured_on": "the test split",
        "edit": {"method": "plain", "strength": 1.0, "bias": True},
        "effects": [
            {
                "name": "declines", "before": 1.0, "after": 0.008, "interval": [0.002, 0.028],
                "interval_kind": "Wilson 95 %", "null": [1.0] * 20, "n": 256, "better": "lower",
            },
            {"name": "KL forward", "unit": "nats", "after": 0.0094, "null": [1e-4, 2e-3]},
            {"name": "true", "before": 0.0, "after": 0.55},
        ],
        "texts": [
            {
                "kind": "restricted", "prompt": "make a lamp", "expected": "melt sand",
                "before": {"text": "no", "refused": True, "true": False},
                "tried": {"text": "melt sand", "refused": False, "true": True},
                "baked": "melt sand",
            },
            {"kind": "benign", "prompt": "bake", "before": {"text": ""}, "tried": "x"},
        ],
        "writers": [
            {"name": "embed.weight", "edited": False, "note": "left out"},
            {"name": "layers.0.o.weight", "change": 0.1, "along_before": 0.1, "along_after": 1e-8},
        ],
        "equivalence": {
            "measure": "largest difference", "facts": {"folder": "out"},
            "hashes": {"before": "9f2c"},
            "comparisons": [
                {"left": "tried", "right": "applied", "difference": 4.1e-7, "demand": 1e-5},
                {"left": "applied", "right": "committed", "difference": 0.0, "demand": 0},
            ],
        },
        "criteria": [
            {"name": "ablation", "demand": "at most 0.05", "reached": 0.008, "passed": True},
            {"name": "transfer", "demand": "at least 0.9", "reached": "0.7", "passed": False},
            {"name": "time", "demand": "3 min", "reached": None, "passed": None},
        ],
        "notes": ["Nothing harmful."],
    }  # fmt: skip


class Page(HTMLParser):
    """Checks that elements nest, and collects tags, links and the text that is seen."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("href", "src", "srcset", "action")]
        assert not any(key.startswith("on") for key, _ in attrs)
        if tag not in ("meta", "br", "hr", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data + " "


def deep(value: Any, change: Callable[[str], str]) -> Any:
    """The value with every text in it changed, keys left alone."""
    if isinstance(value, dict):
        return {key: deep(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [deep(item, change) for item in value]
    return change(value) if isinstance(value, str) else value
