"""Collecting that is interrupted goes on where it was."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lenswright as lw
from collected import EVERY, POINT
from lenswright.collecting import statistics
from lenswright.collecting.statistics import Statistics, collect
from lenswright.prompting.prompts import PromptSet
from support import same


class Stop(Exception):
    pass


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int, stop: Callable[[], None]) -> None:
    """Let `stop` happen within the run of a later batch."""
    run, count = statistics.run_taps, 0

    def counting(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == after:
            stop()
        return run(*arguments, **named)

    monkeypatch.setattr(statistics, "run_taps", counting)


def equal(one: Statistics, other: Statistics, limit: float = 1e-12) -> None:
    for name in one.classes:
        assert same(one.n(name), other.n(name))
        for method in ("mean", "variance", "covariance"):
            a, b = (getattr(s, method)(name, POINT) for s in (one, other))
            assert (a - b).abs().max() <= limit * a.abs().max()
        assert same(one.samples(name, POINT), other.samples(name, POINT))
        assert same(one.extremes(name, POINT).values, other.extremes(name, POINT).values)


def test_ctrl_c_keeps_whole_batches_and_the_same_call_goes_on(
    wordy_llama: Path, fit: PromptSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lw.load(wordy_llama, dtype="float64")
    path = tmp_path / "unfinished.safetensors"
    whole = collect(model, fit, POINT, "last", EVERY, batch_size=4)
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupted(patch, 3, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt, match=r"12 prompts are in .*unfinished"):
            collect(model, fit, POINT, "last", EVERY, batch_size=4, checkpoint=path)
    assert path.exists()
    assert signal.getsignal(signal.SIGINT) is before
    runs = 0
    with monkeypatch.context() as patch:
        run = statistics.run_taps

        def counting(*arguments: Any) -> Any:
            nonlocal runs
            runs += 1
            return run(*arguments)

        patch.setattr(statistics, "run_taps", counting)
        again = collect(model, fit, POINT, "last", EVERY, batch_size=4, checkpoint=path)
    assert runs == 3  # 10 prompts of 22 were left
    assert not path.exists()
    equal(whole, again)


def test_a_crash_goes_on_from_the_last_write(
    wordy_llama: Path, fit: PromptSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lw.load(wordy_llama, dtype="float64")
    path = tmp_path / "unfinished.safetensors"

    def crash() -> None:
        raise Stop

    with monkeypatch.context() as patch:
        interrupted(patch, 4, crash)
        with pytest.raises(Stop):
            collect(model, fit, POINT, "last", EVERY, batch_size=5, checkpoint=path, every=0.0)
    again = collect(model, fit, POINT, "last", EVERY, batch_size=2, checkpoint=path)
    equal(collect(model, fit, POINT, "last", EVERY), again)


def test_a_checkpoint_of_something_else_is_refused(
    wordy_llama: Path, fit: PromptSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lw.load(wordy_llama, dtype="float64")
    path = tmp_path / "unfinished.safetensors"
    with monkeypatch.context() as patch:
        interrupted(patch, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            collect(model, fit, POINT, "last", batch_size=4, checkpoint=path)
    with pytest.raises(ValueError, match="is that of another collection: its what differ"):
        collect(model, fit, POINT, "last", EVERY, checkpoint=path)
    other = PromptSet("fit", fit.positive[1:], fit.negative)
    with pytest.raises(ValueError, match="its provenance differ"):
        collect(model, other, POINT, "last", checkpoint=path)
    with pytest.raises(ValueError, match="holds no collecting"):
        collect(model, fit, POINT, "last", checkpoint=wordy_llama / "model.safetensors")


def test_ctrl_c_in_the_shell_says_where_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import embedded
    from lenswright import cli

    call = ["directions", str(embedded.MODEL), "--batch-size", "16", "--json"]
    for side, kind in (("positive", "restricted"), ("negative", "benign")):
        path = tmp_path / f"{side}.jsonl"
        rows = embedded.rows("fit", kind, 40)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        call += [f"--{side}", str(path)]
    assert cli.main(call) == 0
    whole = json.loads(capsys.readouterr().out)
    path = tmp_path / "kept.safetensors"
    with monkeypatch.context() as patch:
        interrupted(patch, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert cli.main([*call, "--checkpoint", str(path)]) == 130
    told = capsys.readouterr().err
    assert "prompts are in" in told
    assert "kept.safetensors" in told
    assert path.exists()
    assert cli.main([*call, "--checkpoint", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == whole
    assert not path.exists()
