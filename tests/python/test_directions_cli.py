"""`lenswright directions` prints and writes what the Python face finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
