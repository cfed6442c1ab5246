"""What edits do, in a formula, and where that comes from: the words of help, reports and cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Words(NamedTuple):
    """A formula with the strength s, and its paper ("" where there is none)."""

    formula: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.formula} ({self.source})" if self.source else self.formula


_GABLITERATION = "Gabliteration, arXiv:2512.18901, section 3"

WORDS = {
    "plain": Words("W' = (I - s v vᵀ) W", "Arditi et al. 2024, arXiv:2406.11717"),
    "projected": Words("W' = (I - s v vᵀ) W, v orthogonal to what shall stay", "arXiv:2410.03415"),
    "write_norm": Words("W' = (I - s v vᵀ) W, every column scaled back to its length"),
    "row_norm": Words("W' = S (I - s D v vᵀ D⁻¹) W, rows as long as D says, as they were"),
    "row_oblique": Words("W' = (I - s D v vᵀ D⁻¹) W, D the lengths of W's rows"),
    "oblique": Words(
        "W' = (I - s A (BᵀA)⁻¹ Bᵀ) W, with B = Σ⁻¹ A LEACE without its constant",
        "Belrose et al. 2023, arXiv:2306.03819",
    ),
    "subspace": Words("W' = (I - s Q Qᵀ) W, Q an orthonormal basis", _GABLITERATION),
    "ridge": Words("W' = (I - s R (RᵀR + ridge I)⁻¹ Rᵀ) W, R the directions", _GABLITERATION),
    "reflection": Words("W' = (I - 2 s v vᵀ) W"),
    "strengthen": Words("W' = (I + s v vᵀ) W"),
    "add": Words(
        "h' = h + s v before a layer", "Arditi et al. 2024, arXiv:2406.11717, section 2.4"
    ),
    "affine": Words("h' = h - v vᵀ (h - target)", "Marshall et al. 2024, arXiv:2411.09003"),
    "leace": Words(
        "h' = h - A (BᵀA)⁻¹ Bᵀ (h - target), B = Σ⁻¹ A", "Belrose et al. 2023, arXiv:2306.03819"
    ),
    "condition": Words(
        "W' = W + s v δᵀ, δ least where negative keys lie", "Meng et al. 2023, arXiv:2210.07229"
    ),
    "null_space": Words(
        "W' = W + s v δᵀ, δ only where hardly any negative key reaches",
        "Fang et al. 2025, arXiv:2410.02355",
    ),
}
"""By what `name_of` calls the method of an edit's provenance."""

SETTINGS = {
    "ridge": ("ridge",), "affine": ("target",), "leace": ("target",), "condition": ("balance",),
    "null_space": ("null_share",),
}  # fmt: skip
"""What else of a method's provenance people should read, beside its strength."""


def sourced(name: str) -> dict[str, str]:
    """What a provenance says of where a method comes from; nothing where that is no paper."""
    return {"source": WORDS[name].source} if WORDS[name].source else {}


def name_of(made: Mapping[str, Any]) -> str:
    """The name of the method that a provenance tells of."""
    if made.get("method") == "condition" and made.get("protect") == "null_space":
        return "null_space"
    return str(made.get("method", "factors"))


def unscaled(made: Mapping[str, Any]) -> Mapping[str, Any]:
    """The provenance of what was multiplied, with the multiple as its strength; others as they are.

    A multiple of an edit that has a strength of its own stays as it is: of kernels there is no
    product.
    """
    if made.get("method") != "scaled" or len(made.get("of", [])) != 1:
        return made
    inner = made["of"][0]
    return made if "strength" in inner else {**inner, "strength": made["scale"]}
