"""The wheel holds what it must, finds torch beside itself, and works from an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
TORCH_MINOR = ".".join(torch.__version__.split(".")[:2])
VERSION = re.search(
    r"VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text().split("project(")[1]
)[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "-qq", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "-w", out, ROOT], check=True, timeout=500
    )
    [path] = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site-packages folder with this wheel and, beside it, the torch of this environment."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "torch").symlink_to(Path(torch.__file__).parent)
    return site


def run(site: Path, code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=site.parent,
        env=environment,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def dynamic_section(path: Path, tag: str) -> list[str]:
    done = subprocess.run(["readelf", "-d", path], check=True, text=True, capture_output=True)
    return re.findall(rf"\({tag}\).*\[(.*)\]", done.stdout)


def test_name_says_version_python_and_platform(wheel: Path) -> None:
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert wheel.name.startswith(f"lenswright-{VERSION}-{python}-{python}-linux_")


def test_holds_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("lenswright/")}
    package = ROOT / "python/lenswright"
    expected = {
        str(path.relative_to(package.parent))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == expected
    for name in ("_files.pyi", "_core.pyi", "py.typed", "demo/model/model.safetensors"):
        assert f"lenswright/{name}" in inside
    libraries = {name for name in inside if name.endswith(".so")}
    assert len(libraries) == 4, "two libraries, two extension modules"


def test_metadata_pins_the_minor_of_torch(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"lenswright-{VERSION}.dist-info/METADATA").decode()
    required = re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)
    assert f"torch=={TORCH_MINOR}.*" in required
    assert "License-Expression: Apache-2.0" in metadata


def test_libraries_find_torch_beside_the_package(site: Path) -> None:
    libraries = sorted((site / "lenswright").glob("*.so"))
    for path in libraries:
        assert dynamic_section(path, "RUNPATH") == ["$ORIGIN:$ORIGIN/../torch/lib"]
        needed = dynamic_section(path, "NEEDED")
        assert not any("libpython" in name for name in needed), path.name
        if "_files" in path.name:
            assert not any(re.search("torch|c10|gomp", name) for name in needed), path.name


def test_the_only_openmp_runtime_is_the_one_of_torch(site: Path) -> None:
    torch_lib = Path(torch.__file__).parent / "lib"
    names = {
        name
        for path in (site / "lenswright").glob("*.so")
        for name in dynamic_section(path, "NEEDED")
    }
    ours = {name for name in names if "gomp" in name or "omp.so" in name}
    theirs = {
        name for path in torch_lib.glob("libgomp*") for name in dynamic_section(path, "SONAME")
    }
    assert ours <= theirs
    loaded = run(
        site,
        "from lenswright import _core\n"
        "print(*{line.split()[-1] for line in open('/proc/self/maps') if 'omp' in line})",
    )
    assert len(loaded.split()) <= 1, loaded


def test_core_library_loads_without_python_finding_torch_by_runpath(site: Path) -> None:
    code = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print('torch' in sys.modules)"
    library = site / "lenswright/liblenswright_core.so"
    done = subprocess.run([sys.executable, "-c", code, library], text=True, capture_output=True)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_smoke(site: Path) -> None:
    where = "import lenswright as lw; print(lw.__file__)"
    assert run(site, where) == str(site / "lenswright/__init__.py")
    assert run(site, "import lenswright as lw; print(lw.__version__)") == VERSION
    assert (
        run(site, "import sys, lenswright, lenswright.cli; print('torch' in sys.modules)")
        == "False"
    )
    assert (
        run(site, "from lenswright import _core, _files; print(_core.__name__)")
        == "lenswright._core"
    )


def test_another_minor_of_torch_is_refused_in_plain_words(site: Path) -> None:
    code = (
        "import torch; torch.__version__ = '2.99.0+cpu'\n"
        "import lenswright\n"
        "try: lenswright._core\n"
        "except ImportError as error: print(error)"
    )
    message = run(site, code)
    assert f"was built with torch {TORCH_MINOR}, but torch 2.99.0+cpu is installed" in message
    assert "./dev build" in message
