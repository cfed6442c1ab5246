"""`lenswright directions` prints and writes what the Python face finds."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import embedded
import lenswright as lw
from lenswright import cli
from lenswright.collecting.statistics import Statistics
from lenswright.directions import Directions
from support import same

POINT = "blocks.2.hook_resid_pre"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("prompts")
    made = []
    for side, name in (("positive", "restricted"), ("negative", "benign")):
        path = folder / f"{side}.jsonl"
        rows = embedded.rows("fit", name, 40)
        lines = [json.dumps(row | {"pair": i}) for i, row in enumerate(rows)]
        path.write_text("\n".join(lines))
        made += [f"--{side}", str(path)]
    return made


def test_it_finds_what_python_finds(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, stats = tmp_path / "found.safetensors", tmp_path / "stats.safetensors"
    arguments = ["directions", str(embedded.MODEL), *files, "--method", "lda", "--seed", "3"]
    written = ["--out", str(found), "--stats", str(stats)]
    assert cli.main([*arguments, "--null", "19", "--json", *written]) == 0
    rows = json.loads(capsys.readouterr().out)
    splits = lw.Splits.from_files(files[1], files[3], seed=3)
    what = ("mean", "variance", "covariance")
    expected = lw.directions.lda(embedded.model().collect(splits.fit, what=what))
    loaded = Directions.load(found)
    for label in expected.positions:
        assert same(loaded.vector(POINT, label), expected.vector(POINT, label))
    table = {(row["point"], row["position"]): row for row in rows}
    for row in expected.table():
        got = table[row["point"], row["position"]]
        assert got["norm"] == row["norm"]
    assert table[POINT, expected.positions[-1]]["p"] == pytest.approx(1 / 20)
    assert Statistics.load(stats).what == (*what, "samples")


def test_the_table_has_a_line_a_direction(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["directions", str(embedded.MODEL), *files, "--method", "paired"]
    assert cli.main([*arguments, "--positions", "last", "--points", "resid_post"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["point", "position", "separation"]
    assert len(lines) == 1 + 4
    assert lines[1].startswith("blocks.0.hook_resid_post")


def test_wrong_calls_are_one_line(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["directions", str(embedded.MODEL), *files]
    taken = tmp_path / "taken"
    taken.touch()
    for more, message in (
        (["--method", "ldaa"], "did you mean 'lda'?"),
        (["--method", "lda", "--k", "2"], "finds one direction"),
        (["--out", str(taken)], "expected a new file"),
        (["--points", "resid_prr"], "resid_prr"),
    ):
        assert cli.main([*start, *more]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def massive_model(folder: Path) -> Path:
    """The shipped model with a channel of its embedding that drowns the others."""
    copy = Path(shutil.copytree(embedded.MODEL, folder))
    tensors = load_file(copy / "model.safetensors")
    tensors["model.embed_tokens.weight"][:, 5] += 3e4
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    return copy


def test_massive_channels_are_told_and_taken_out(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(massive_model(tmp_path / "m"))
    out = tmp_path / "found.safetensors"
    call = ["directions", model, *files, "--massive", "exclude", "--out", str(out)]
    assert cli.main(call) == 0
    assert "MassiveChannels(" in capsys.readouterr().err
    found = Directions.load(out)
    assert 5 in found.provenance["excluded"][POINT]
    assert float(found.vector(POINT, -1)[5]) == 0.0
    assert cli.main([*call[:-1], str(tmp_path / "x"), "--null", "5"]) == 2


def test_massive_channels_are_in_the_report(tmp_path: Path) -> None:
    from lenswright.story import Plan, tell

    model, splits = lw.load(massive_model(tmp_path / "m")), embedded.splits(12, 6, 4)
    said: list[str] = []
    plan = Plan(null=2, null_prompts=2, max_new_tokens=3, progress=False)
    told = tell(model, splits, plan, None, said.append)
    assert any("massive channels [5" in line and "--massive clip" in line for line in said)
    assert any("massive channels [5" in note for note in told.report.data["notes"])
    away = tell(model, splits, replace(plan, massive="exclude"), None)
    assert float(away.choice.vector[5]) == 0.0
    calm = tell(embedded.model(), splits, plan, None)
    assert not any("massive" in note for note in calm.report.data.get("notes", []))
