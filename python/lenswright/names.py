"""Names of points: exact ones, globs, predicates and TransformerLens's short forms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from lenswright import _files
from lenswright.nearest import did_you_mean

Short = tuple[str, int] | tuple[str, int, str]
NameFilter = str | Short | Callable[[str], bool] | Sequence["str | Short"] | None

_ALIASES = {"attn": "pattern", "attn_logits": "attn_scores", "key": "k", "query": "q", "value": "v"}
_MLP_ALIASES = {
    "mlp_pre": "pre",
    "mlp_mid": "mid",
    "mlp_post": "post",
    "mlp_pre_linear": "pre_linear",
}
_GLOB = re.compile(r"[*?\[{]")


def unknown(name: str, candidates: Iterable[str], what: str = "hook name") -> KeyError:
    """A KeyError that names the nearest candidate."""
    hint = did_you_mean(name, candidates)
    return KeyError(f"{what} '{name}' is no point of this model{hint}")


class PointNames:
    """The points of one model and every way to name them.

    Args:
        default: names that exist in every run.
        every: these and the ones that exist only when they are named, in the order of a run.
        n_layers: number of blocks.
    """

    def __init__(self, default: Sequence[str], every: Sequence[str], n_layers: int) -> None:
        self.default = list(default)
        self.all = list(every)
        self._known = set(self.all)
        self.n_layers = n_layers
        self._short: dict[str, list[str]] = {}
        for name in self.all:
            self._short.setdefault(self._short_of(name), []).append(name)

    @staticmethod
    def _short_of(name: str) -> str:
        tail = name.split(".", 2)[2] if name.startswith("blocks.") else name
        return tail.replace("hook_", "")

    def short(self, name: str, layer: int | None = None, part: str | None = None) -> str:
        """The full name of a short form: ("resid_post", 3), ("q", 0), ("scale", 2, "ln1").

        Raises:
            KeyError: there is no such point.
            IndexError: the layer is out of range.
        """
        name = _ALIASES.get(name, name)
        if name in _MLP_ALIASES:
            name, part = _MLP_ALIASES[name], "mlp"
        part = {"a": "attn", "m": "mlp", "attention": "attn"}.get(part or "", part)
        if layer is None:
            tries = [f"{part}.hook_{name}" if part else f"hook_{name}"]
            if name in ("scale", "normalized"):
                tries = [f"ln_final.hook_{name}"]
        else:
            if not -self.n_layers <= layer < self.n_layers:
                raise IndexError(
                    f"layer is {layer}, expected {-self.n_layers} to {self.n_layers - 1}"
                )
            block = f"blocks.{layer % self.n_layers}."
            parts = [f"{part}."] if part else ["", "attn.", "mlp."]
            tries = [f"{block}{p}hook_{name}" for p in parts]
        for full in tries:
            if full in self._known:
                return full
        raise unknown(tries[0], self.all)

    def resolve(self, wanted: NameFilter) -> list[str]:
        """Full names, in the order of a run.

        None means every default point; a glob or predicate chooses among the default points, and a
        glob that finds none there among the expanded ones; a bare short form ("resid_post") means
        that point in every layer.

        Raises:
            KeyError: a name is unknown; the nearest one is named.
            ValueError: a glob or predicate matches nothing.
        """
        if wanted is None:
            return list(self.default)
        if callable(wanted):
            chosen = {name for name in self.default if wanted(name)}
            if not chosen:
                raise ValueError("names_filter is a function that matches no point of this model")
        else:
            single = isinstance(wanted, str) or (
                isinstance(wanted, tuple) and len(wanted) > 1 and isinstance(wanted[1], int)
            )
            items: Sequence[str | Short] = [wanted] if single else list(wanted)  # type: ignore[list-item, arg-type]
            if not items:
                raise ValueError("names_filter is empty, expected at least one point name")
            chosen = {name for item in items for name in self._one(item)}
        return [name for name in self.all if name in chosen]

    def _one(self, item: str | Short) -> list[str]:
        if isinstance(item, tuple):
            return [self.short(*item)]
        if item in self._known:
            return [item]
        if _GLOB.search(item):
            glob = _files.Glob(item)
            for names in (self.default, self.all):
                found = [name for name in names if glob.matches(name)]
                if found:
                    return found
            raise ValueError(f"names_filter '{item}' matches no point of this model")
        if item in self._short:
            return self._short[item]
        per_layer = [name for name in self.all if name.endswith((f".hook_{item}", f"hook_{item}"))]
        if per_layer:
            return per_layer
        raise unknown(item, self.all)
