"""What a self-test found, as a table, as data, and as an error."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from lenswright.jsonable import finite_or_none
from lenswright.selftest.accounting import Accounting
from lenswright.selftest.run import Check
from lenswright.selftest.scan import Knob, Scan


class VerificationError(ValueError):
    """A model that fails its self-test; the message names the tensor, invariant or knob.

    result: the whole `SelfTest`.
    """

    def __init__(self, result: SelfTest) -> None:
        super().__init__(f"{result.path}: {'; '.join(result.problems())}")
        self.result = result


def _knob_line(knob: Knob, width: int) -> str:
    where = f"{knob.read:8.3f} {knob.loss:9.3f} {knob.difference:+9.4f} ±{knob.error:7.4f}"
    return f"  {knob.name:<{width}} {where} {len(knob.all):7,}  {knob.verdict}"


@dataclass
class SelfTest:
    """The outcome of the three layers; `str()` is the table that `lenswright verify` prints."""

    path: str
    family: str
    dtype: str
    accounting: Accounting
    checks: list[Check] = field(default_factory=list)
    scan: Scan = field(default_factory=Scan)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problems()

    @property
    def judged(self) -> bool:
        """Whether the knob scan could judge how the model is read."""
        return bool(self.scan.knobs) and not self.scan.silent

    def problems(self) -> list[str]:
        """What is wrong, a line each."""
        failed = [
            f"invariant '{check.name}' fails: {check.figure:.1e} at {check.where or 'the logits'}, "
            f"expected at most {check.limit:.0e}"
            for check in self.checks
            if not check.ok
        ]
        return self.accounting.problems() + failed + self.scan.problems()

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data; what is no finite number is null."""
        checks = [asdict(c) | {"figure": finite_or_none(c.figure), "ok": c.ok} for c in self.checks]
        knobs = [
            {k: finite_or_none(v) if isinstance(v, float) else v for k, v in knob.to_json().items()}
            for knob in self.scan.knobs
        ]
        return {
            "path": self.path, "family": self.family, "dtype": self.dtype, "ok": self.ok,
            "judged": self.judged, "seconds": round(self.seconds, 3), "problems": self.problems(),
            "accounting": self.accounting.to_json(), "invariants": checks,
            "scan": {
                "text": self.scan.text, "tokens": self.scan.tokens,
                "loss": finite_or_none(self.scan.loss), "guess": finite_or_none(self.scan.guess),
                "silent": self.scan.silent, "knobs": knobs,
            },
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.family}, computed in {self.dtype}", str(self.accounting)]
        if self.checks:
            lines += ["", "invariants on a short run"]
            width = max(len(check.name) for check in self.checks)
            for check in self.checks:
                mark = f"FAILS, expected at most {check.limit:.0e}  " if not check.ok else ""
                lines.append(f"  {check.name:<{width}}  {check.figure:.1e}  {mark}{check.where}")
            lines += ["", *self._scan_lines()]
        lines.append("")
        lines += [f"FAILS: {problem}" for problem in self.problems()]
        if self.ok:
            judged = "" if self.judged else ", but how it is read could not be judged"
            lines.append(f"nothing found wrong{judged} ({self.seconds:.1f} s)")
        return "\n".join(lines)

    def _scan_lines(self) -> list[str]:
        scan = self.scan
        lines = []
        if scan.knobs:
            lines.append(
                f"knob scan on the text '{scan.text}': as read {scan.loss:.3f} nats a token over "
                f"{scan.tokens:,} tokens (guessing: {scan.guess:.2f})"
            )
            width = max(len(knob.name) for knob in scan.knobs)
            head = f"  {'misread as':<{width}}  as read   misread difference"
            lines.append(f"{head} ±   error  tokens  verdict")
            lines += [_knob_line(knob, width) for knob in scan.knobs]
        if scan.silent:
            lines.append(f"not judged: {scan.silent}")
        return lines
