"""The command line: its overview, its exit codes, and that errors take one line."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lenswright import cli


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A verb `try` whose `run` raises what `--raise` names."""
    module = ModuleType("lenswright.cli.try")
    errors = {"value": ValueError("strength is 'x'; expected\na number"), "key": KeyError("no 'a'"),
              "file": FileNotFoundError(2, "No such file or directory", "/nowhere"),
              "stop": KeyboardInterrupt(), "bug": RuntimeError("a bug")}  # fmt: skip

    def run(arguments: argparse.Namespace) -> int:
        if arguments.error:
            raise errors[arguments.error]
        return 1

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--raise", dest="error", choices=errors)
        parser.add_argument("--strength", type=float)

    module.HELP, module.run, module.add_arguments = "Tries.", run, add_arguments  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lenswright.cli.try", module)
    monkeypatch.setitem(cli.VERBS, "try", "tries")
    return module


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"]])
def test_overview_names_every_verb(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    for name, line in cli.VERBS.items():
        assert f"  {name}" in out
        assert line in out


@pytest.mark.parametrize("name", cli.VERBS)
def test_every_verb_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: lenswright {name}")
    assert importlib.import_module(f"lenswright.cli.{name}").HELP.split()[0] in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import lenswright

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"lenswright {lenswright.__version__}\n"


@pytest.mark.usefixtures("verb")
@pytest.mark.parametrize(
    ("argv", "code", "line"),
    [
        (["try"], 1, ""),
        (["try", "--raise", "value"], 2, ": strength is 'x'; expected a number"),
        (["try", "--raise", "key"], 2, ": no 'a'"),
        (["try", "--raise", "file"], 2, ": [Errno 2] No such file or directory: '/nowhere'"),
        (["try", "--raise", "stop"], 130, ": interrupted"),
        (["tyr"], 2, ": there is no verb 'tyr'; did you mean 'try'? (see 'lenswright --help')"),
        (["try", "--strenth", "1"], 2, " try: unrecognized arguments: --strenth 1; "
         "did you mean '--strength'? (see 'lenswright try --help')"),
        (["try", "--strength", "much"], 2, " try: argument --strength: invalid float value: "
         "'much' (see 'lenswright try --help')"),
    ],
)  # fmt: skip
def test_exit_codes_and_lines(
    argv: list[str], code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == code
    assert capsys.readouterr().err == (f"lenswright{line}\n" if line else "")


@pytest.mark.usefixtures("verb")
def test_bugs_and_wanted_tracebacks_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["try", "--raise", "bug"])
    monkeypatch.setenv("LENSWRIGHT_TRACEBACK", "1")
    with pytest.raises(ValueError, match="strength"):
        cli.main(["try", "--raise", "value"])


def test_module_and_closed_pipe(tmp_path: Path) -> None:
    command = f"{sys.executable} -m lenswright --help | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], text=True, capture_output=True, cwd=tmp_path)
    assert done.stdout == "usage: lenswright VERB [ARGUMENTS]\n"
    assert done.stderr == ""


def test_overview_imports_nothing_heavy() -> None:
    code = (
        "import sys; from lenswright.cli import main; main(['--help'])\n"
        "print([m for m in ('torch', 'numpy', 'lenswright._files') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.endswith("\n[]\n")
