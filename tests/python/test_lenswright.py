"""The face of the package: lazy, complete, and helpful about misspelt names."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lenswright as lw


@pytest.mark.parametrize("name", lw.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(lw, name) is not None
    assert name in dir(lw)


def test_names_survive_the_import_of_submodules() -> None:
    code = (
        "import importlib, pkgutil, lenswright as lw\n"
        "before = {name: getattr(lw, name) for name in lw.__all__}\n"
        "for module in pkgutil.iter_modules(lw.__path__, 'lenswright.'):\n"
        "    if module.name.split('.')[1][:3] not in ('lib', '__m'):\n"
        "        importlib.import_module(module.name)\n"
        "print([name for name in before if getattr(lw, name) is not before[name]])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout == "[]\n"


def test_import_is_lazy() -> None:
    code = (
        "import sys, lenswright\n"
        "print([m for m in ('torch', 'numpy', 'lenswright._files') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout == "[]\n"


def test_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(AttributeError, match="no attribute 'laod'; did you mean 'load'"):
        _ = lw.laod
