"""Hub ids to local folders, through huggingface_hub: safetensors and small files only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from lenswright.nearest import did_you_mean

# Small files at the top of a repository. Weights are asked for by name afterwards.
_SMALL = ["*.json", "*.txt", "*.jinja", "*.model", "*.tiktoken", "LICENSE*", "NOTICE*", "README.md"]
_DEEPER = ["*/*"]
_INDEX = "model.safetensors.index.json"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def looks_like_hub_id(text: str) -> bool:
    """Whether a text that is no local path may be a hub id: NAME or OWNER/NAME.

    A path into a folder that exists here is a local path that is missing, not a hub id.
    """
    if not _HUB_ID.fullmatch(text) or text.endswith((".safetensors", ".json", ".bin", ".pt")):
        return False
    return "/" not in text or not Path(text).parent.is_dir()


def resolve(path_or_hub_id: str | os.PathLike[str], revision: str | None = None) -> Path:
    """The local path of a checkpoint; a hub id is downloaded unless it is in the cache already.

    Args:
        path_or_hub_id: what exists locally is always taken for a path.
        revision: branch, tag or commit of a hub id; default: its main branch.

    Raises:
        FileNotFoundError: neither a local path nor a model of the hub (or not reachable, offline).
        ValueError: a revision with a local path; a model without safetensors.
        ImportError: a hub id where huggingface_hub is not installed.

    Files come from huggingface_hub's cache, whose environment variables (HF_HOME, HF_HUB_OFFLINE …)
    hold here too.
    """
    text = os.fspath(path_or_hub_id)
    path = Path(text).expanduser()
    if path.exists():
        if revision is not None:
            raise ValueError(
                f"revision is '{revision}', but '{text}' is a local path, which has none"
            )
        return path
    if not isinstance(path_or_hub_id, str) or not looks_like_hub_id(text):
        raise FileNotFoundError(
            f"no checkpoint at '{text}': there is no such folder or file{_near(path)}"
        )
    return _download(text, revision)


def _near(path: Path, more: Iterable[str] = ()) -> str:
    """The nearest name of what lies beside a path that is not there, or of others."""
    there = path.parent.is_dir() and os.access(path.parent, os.R_OK)
    names = [one.name for one in path.parent.iterdir()] if there else []
    return did_you_mean(path.name, names) or did_you_mean(path, more)


def _cached() -> list[str]:
    """The models in huggingface_hub's cache."""
    from huggingface_hub.constants import HF_HUB_CACHE

    names = [
        folder.name.removeprefix("models--") for folder in Path(HF_HUB_CACHE).glob("models--*")
    ]
    return [name.replace("--", "/") for name in names]


def _download(repo_id: str, revision: str | None) -> Path:
    try:
        import huggingface_hub
    except ImportError:
        raise ImportError(
            f"'{repo_id}' is no folder here; to look for it on the hub, pip install huggingface_hub"
        ) from None

    def fetch(patterns: list[str], at: str | None) -> Path:
        try:
            return Path(
                huggingface_hub.snapshot_download(
                    repo_id, revision=at, allow_patterns=patterns, ignore_patterns=_DEEPER
                )
            )
        except (OSError, ValueError) as error:  # what the hub's errors are made of
            where = f" at revision '{revision}'" if revision else ""
            lines = [line for line in str(error).splitlines() if line.strip()]
            reason = f"{type(error).__name__}: {lines[0].strip() if lines else 'no reason given'}"
            raise FileNotFoundError(
                f"'{repo_id}' is no folder here, and could not be had from the hub{where} "
                f"({reason}){_near(Path(repo_id), _cached())}"
            ) from error

    folder = fetch(_SMALL, revision)
    commit = folder.name  # every file from one commit
    if (folder / _INDEX).exists():
        from lenswright import _files

        index = (folder / _INDEX).read_text(encoding="utf-8")
        shards = sorted({shard for _, shard in _files.parse_index(index, _INDEX)})
        return fetch([*_SMALL, *shards], commit)
    fetch([*_SMALL, "model.safetensors"], commit)
    if not (folder / "model.safetensors").exists():
        fetch([*_SMALL, "*.safetensors"], commit)
    if not any(folder.glob("*.safetensors")):
        raise ValueError(
            f"'{repo_id}' has no safetensors weights on the hub, and pickled ones are never "
            "downloaded; convert it with save_pretrained where you trust it"
        )
    return folder
