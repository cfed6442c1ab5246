"""`lenswright demo`: its exit code, its folder, its JSON, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lenswright import cli
from lenswright.cli import demo


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    out = tmp_path_factory.mktemp("demo") / "story"
    return cli.main(["demo", "--out", str(out), "--null", "2", "--json"]), out


def test_the_shipped_model_reaches_every_demand(done: tuple[int, Path]) -> None:
    code, out = done
    data: dict[str, Any] = json.loads((out / "report.json").read_text())
    missed = [row for row in data["criteria"] if row["passed"] is False]
    assert missed == []
    assert code == 0
    assert len(data["criteria"]) >= 15


def test_the_folder_holds_page_json_and_checkpoint(done: tuple[int, Path]) -> None:
    out = done[1]
    assert {path.name for path in out.iterdir()} == {"report.html", "report.json", "edited"}
    assert (out / "edited" / "model.safetensors").is_file()
    page = (out / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "<script src" not in page


def test_an_existing_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--out", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err == f"lenswright: output folder {tmp_path} exists; expected a new one\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_failed_run_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    import lenswright

    def fail(*_: object, **__: object) -> None:
        raise error("stopped")

    monkeypatch.setattr(lenswright, "load", fail, raising=False)
    assert cli.main(["demo", "--out", str(tmp_path / "new")]) == (2 if error is ValueError else 130)
    assert list(tmp_path.iterdir()) == []


def test_free_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert demo.free_folder() == Path("lenswright-demo")
    for name in ("lenswright-demo", "lenswright-demo-2"):
        Path(name).mkdir()
    assert demo.free_folder() == Path("lenswright-demo-3")
