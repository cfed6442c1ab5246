"""The estimators by name: what made directions can be made again, with other labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lenswright.estimators import (
    difference_of_means,
    inlp,
    lda,
    leace,
    logistic,
    mass_mean,
    paired,
    pca,
    som,
    subspace,
)
from lenswright.estimators.method import Method


def _binary_leace(**settings: Any) -> Method:
    return leace.method(**settings, binary=True)


METHODS: dict[str, Callable[..., Method]] = {
    "difference_of_means": difference_of_means.method, "paired": paired.method,
    "pca": pca.method, "lda": lda.method, "mass_mean": mass_mean.method, "leace": leace.method,
    "binary_leace": _binary_leace, "subspace": subspace.method, "logistic": logistic.method,
    "inlp": inlp.method, "som": som.method,
}  # fmt: skip


def method_of(provenance: Mapping[str, Any]) -> Method:
    """The method that a provenance names, with its settings.

    Raises:
        ValueError: it names none of the estimators.
    """
    name = provenance.get("method")
    if name not in METHODS:
        raise ValueError(f"found was made by {name!r}, expected one of {list(METHODS)}")
    return METHODS[name](**provenance["settings"])
