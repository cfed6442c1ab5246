"""Builds the extension modules with CMake; everything static is in pyproject.toml."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
VERSION = re.search(r"project\(lenswright VERSION ([\d.]+)", CMAKE)[1]
try:
    TORCH = ".".join(importlib.metadata.version("torch").split(".")[:2])
except importlib.metadata.PackageNotFoundError:
    sys.exit(
        "lenswright is built against the torch already installed, and there is none: "
        "pip install torch==2.13.0, then pip install --no-build-isolation ."
    )


class CMakeBuild(build_ext):
    def run(self):
        if os.environ.get("LENSWRIGHT_SKIP_CMAKE"):  # ./dev runs CMake itself, where one can see it
            return
        python = ROOT / "python" if self.inplace or self.editable_mode else Path(self.build_lib)
        # Persistent, so that rebuilds are incremental; a developer's folder keeps its tests.
        build = str(ROOT / "build" / sys.implementation.cache_tag)
        fresh = not Path(build, "CMakeCache.txt").exists()
        options = ["-G", "Ninja", f"-DPython_EXECUTABLE={sys.executable}"]
        options += ["-DLENSWRIGHT_TESTS=OFF"] if fresh else []
        options += os.environ.get("CMAKE_ARGS", "").split()
        install = ["--component", "python", "--prefix", str(python.resolve() / "lenswright")]
        subprocess.run(["cmake", "-S", str(ROOT), "-B", build, *options], check=True)
        subprocess.run(["cmake", "--build", build], check=True)
        subprocess.run(["cmake", "--install", build, *install], check=True)


# What was left by an earlier wheel must not come back in this one.
shutil.rmtree(ROOT / "build" / "wheel", ignore_errors=True)
setup(
    version=VERSION,
    # torch keeps no binary interface from one minor release to the next
    install_requires=[f"torch=={TORCH}.*", "numpy", "tokenizers", "jinja2", "pyyaml"],
    ext_modules=[Extension("lenswright._core", sources=[])],
    cmdclass={"build_ext": CMakeBuild},
    options={"build": {"build_base": "build/wheel"}},
)
