"""Progress: what the line says, and when there is one."""

from __future__ import annotations

import io
import sys

import pytest

from lenswright.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_says_count_rate_and_time_left() -> None:
    bar = Progress("collect", 4000, "prompts")
    bar.step(1000)
    assert bar.text(10.0) == "collect: 1,000 of 4,000 prompts, 100/s, 30 s left"
    assert bar.text(100.0).endswith("10/s, 5 min 0 s left")
    assert bar.text(10000.0).endswith("0.1/s, 8 h 20 min left")


@pytest.mark.parametrize(
    ("wait", "show", "drawn"), [(0.0, True, True), (0.0, False, False), (60.0, True, False)]
)
def test_it_is_drawn_after_a_while_and_wiped_at_the_end(
    monkeypatch: pytest.MonkeyPatch, wait: float, show: bool, drawn: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(Progress, "WAIT", wait)
    monkeypatch.setattr(Progress, "EVERY", 0.0)
    with Progress("select", 2, "rows", show) as bar:
        bar.step()
        bar.step()
    assert ("select: 2 of 2 rows" in terminal.getvalue()) is drawn
    assert terminal.getvalue().endswith("\r\x1b[K") is drawn


def test_a_file_sees_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setattr(Progress, "WAIT", 0.0)
    with Progress("select", 1) as bar:
        bar.step()
    assert log.getvalue() == ""
