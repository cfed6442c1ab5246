"""What was measured on concepts in TinyStories-656K, as a part of the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from demo_stories import ENDING, PART


def section(found: dict[str, Any], table: Callable[..., list[str]]) -> list[str]:
    """The part of the page."""
    lines = [
        "## A concept in TinyStories-656K", "",
        "*she / he*: stories of a girl or a boy up to the pronoun; *happy / sad*: of good or bad "
        "luck up to the feeling; other names in each part. The score is the log-odds of words of "
        "the one side against words of the other. Every method's strength is set on select prompts "
        f"so that the mean score of the first side falls by {PART:.0%} of the distance between the "
        "sides. The direction is the difference of means that tells fit prompts apart best, at any "
        "point but the embedding. *KL*: of the next word behind prompts of the other side; "
        "*own text*: rise of the loss on the model's own continuations of test prompts; *foreign "
        "text*: on Shakespeare. Nats, test prompts.", "",
    ]  # fmt: skip
    for name, one in found.items():
        if "rows" not in one:
            continue
        lines += [f"*{name}*: unedited, the scores lie {one['apart']:.2f} apart; the first side's "
                  f"are lowered by {one['effect']:.2f} on select prompts.", ""]  # fmt: skip
        rows = []
        for method, row in one["rows"].items():
            if row is None:
                rows.append([method, "does not get so far", "", "", "", ""])
                continue
            rows.append([method, f"{row['strength']:.2f}", f"{row['effect']:.2f}",
                         *(f"{row[key]:.5f}" for key in ("kl", "own", "text"))])  # fmt: skip
        head = ("method", "strength", "lowered by", "KL", "own text", "foreign text")
        lines += [*table(head, rows), _verdict(one["rows"]), ""]
    left = [f"{n} {one['apart']:.2f}" for n, one in found.items() if "rows" not in one]
    if left:
        lines += [f"Scenes of feelings followed by “{ENDING.strip()}” are hardly told apart by "
                  f"this model (nats between the scores: {', '.join(left)}): there is nothing to "
                  "take.", ""]  # fmt: skip
    return lines


def _verdict(rows: dict[str, Any]) -> str:
    """The best conditioned edit against the best other one, measure by measure."""
    told = []
    for key, name in (("kl", "KL"), ("own", "own text"), ("text", "foreign text")):
        sides = [
            [(row[key], method) for method, row in rows.items()
             if row is not None and method.startswith("conditioned") == ours]
            for ours in (True, False)
        ]  # fmt: skip
        if not all(sides):
            return f"No {'conditioned' if sides[1] else 'other'} edit gets so far."
        (ours, mine), (other, theirs) = map(min, sides)
        verdict = f"ratio {other / ours:.2f}" if min(ours, other) > 0 else "no ratio"
        told.append(f"{name} {ours:.5f} (`{mine}`) against {other:.5f} (`{theirs}`), {verdict}")
    return "Best conditioned against best other: " + "; ".join(told) + "."
