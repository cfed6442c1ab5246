"""Hub ids: the offline cache, what counts as an id, and what a missing one says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import lenswright as lw
from lenswright.checkpoints.hub import looks_like_hub_id, resolve
from lenswright.cli import main

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "text", ["gpt2", "owner/name", "owner/name-1.5_b", "EleutherAI/pythia-70m"]
)
def test_ids(text: str) -> None:
    assert looks_like_hub_id(text)


@pytest.mark.parametrize(
    "text",
    ["/a/b", "./a", "../a", "a/b/c", "a/", "~/a", "", "a b", "a/b.safetensors", "x.bin", "a\\b"],
)
def test_paths(text: str) -> None:
    assert not looks_like_hub_id(text)


def test_a_path_below_a_folder_that_exists_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="no checkpoint at 'models/lama'"):
        resolve("models/lama")


def test_a_misspelt_path_is_told_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "llama-base").mkdir()
    (tmp_path / "other").mkdir()
    with pytest.raises(FileNotFoundError, match=r"did you mean 'llama-base'\?$"):
        resolve(tmp_path / "lama-base")
    with pytest.raises(FileNotFoundError, match=r"no such folder or file$"):
        resolve(tmp_path / "nothing-like-it")


def test_a_misspelt_id_is_told_with_what_the_cache_has(tmp_path: Path) -> None:
    cache(tmp_path, {"config.json": b"{}"})
    out = offline(
        tmp_path, "from lenswright.cli import main; print(main(['inspect', 'owner/nam']))"
    )
    assert "did you mean 'owner/name'?" in out.stderr
    assert out.stdout.splitlines()[-1:] == ["2"]


def test_revision_needs_a_hub_id(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"revision is 'main', but '.*' is a local path"):
        lw.Checkpoint(tmp_path, revision="main")


def cache(folder: Path, files: dict[str, bytes], shared: bool = False) -> Path:
    """A cache as huggingface_hub lays it out: snapshots of links into blobs.

    shared: blobs are links themselves, into a store that repositories share.
    """
    repository = folder / "hub" / "models--owner--name"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    for name, content in files.items():
        blob = repository / "blobs" / name.upper()
        if shared:
            store = folder / "hub" / "blobs"
            (store / "ab").mkdir(parents=True, exist_ok=True)
            (store / ".huggingface-shared-blobs").write_text("1\n")
            (store / "ab" / name).write_bytes(content)
            blob.symlink_to(f"../../blobs/ab/{name}")
        else:
            blob.write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{name.upper()}")
    return snapshot


def offline(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    env = {"HF_HOME": str(folder), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin"}
    env["PYTHONPATH"] = ":".join(sys.path)
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=folder
    )


@pytest.mark.parametrize("shared", [False, True])
def test_the_offline_cache(shared: bool, tmp_path: Path) -> None:
    one = safetensors.torch.save({"w": torch.ones(2)})
    config = json.dumps({"model_type": "x"}).encode()
    snapshot = cache(tmp_path, {"model.safetensors": one, "config.json": config}, shared)
    code = """
import lenswright as lw
for revision in (None, "main", %r):
    checkpoint = lw.Checkpoint("owner/name", revision=revision)
    assert checkpoint["w"].sum() == 2 and checkpoint.config == {"model_type": "x"}
    print(checkpoint.folder)
"""
    out = offline(tmp_path, code % COMMIT)
    assert out.returncode == 0, out.stderr
    assert out.stdout.split() == [str(snapshot)] * 3


def test_shards_from_the_offline_cache(tmp_path: Path) -> None:
    files = {f"{n}.safetensors": safetensors.torch.save({n: torch.ones(2)}) for n in "ab"}
    index = {"weight_map": {n: f"{n}.safetensors" for n in "ab"}}
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    cache(tmp_path, files)
    out = offline(tmp_path, "import lenswright as lw; print(len(lw.Checkpoint('owner/name')))")
    assert (out.returncode, out.stdout) == (0, "2\n"), out.stderr


def test_a_model_without_safetensors(tmp_path: Path) -> None:
    cache(tmp_path, {"config.json": b"{}"})
    out = offline(
        tmp_path, "from lenswright.cli import main; print(main(['inspect', 'owner/name']))"
    )
    assert out.stdout == "2\n"
    assert out.stderr.count("\n") == 1
    assert "no safetensors weights on the hub" in out.stderr


def test_missing_is_one_line(tmp_path: Path) -> None:
    out = offline(tmp_path, "from lenswright.cli import main; print(main(['inspect', 'no/such']))")
    assert out.stdout == "2\n"
    assert out.stderr.count("\n") == 1
    assert "'no/such' is no folder here, and could not be had from the hub" in out.stderr


def test_without_huggingface_hub(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(["inspect", "no/such"]) == 2
    assert "pip install huggingface_hub" in capsys.readouterr().err


def test_only_what_is_needed_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    asked: list[dict[str, Any]] = []
    folder = tmp_path / COMMIT
    folder.mkdir()
    index = {"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    def snapshot_download(repo_id: str, **options: Any) -> str:
        asked.append(options | {"repo_id": repo_id})
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.chdir(tmp_path)
    assert resolve("owner/name", "v1") == folder
    assert [a["revision"] for a in asked] == ["v1", COMMIT]
    weights = [p for a in asked for p in a["allow_patterns"] if "safetensors" in p]
    assert weights == ["m-1.safetensors", "m-2.safetensors"]
    assert not any(p.endswith((".bin", ".pt")) for a in asked for p in a["allow_patterns"])
    assert all(a["ignore_patterns"] == ["*/*"] for a in asked)
