"""Every way to name a point, and the nearest name where there is none."""

from __future__ import annotations

from typing import Any

import pytest

import embedded
from lenswright.names import PointNames, unknown


@pytest.fixture(scope="module")
def names() -> PointNames:
    return embedded.model().names


@pytest.mark.parametrize(("short", "full"), [
    (("resid_post", 3), "blocks.3.hook_resid_post"),
    (("resid_pre", -1), "blocks.3.hook_resid_pre"),
    (("q", 0), "blocks.0.attn.hook_q"),
    (("pattern", 1), "blocks.1.attn.hook_pattern"),
    (("attn", 1), "blocks.1.attn.hook_pattern"),
    (("attn_logits", 1), "blocks.1.attn.hook_attn_scores"),
    (("key", 2), "blocks.2.attn.hook_k"),
    (("scale", 2, "ln1"), "blocks.2.ln1.hook_scale"),
    (("out", 2, "m"), "blocks.2.mlp.hook_out"),
    (("out", 2, "attn"), "blocks.2.attn.hook_out"),
    (("mlp_post", 0), "blocks.0.mlp.hook_post"),
    (("post", 0), "blocks.0.mlp.hook_post"),
    (("embed",), "hook_embed"),
    (("scale",), "ln_final.hook_scale"),
    (("result", 1), "blocks.1.attn.hook_result"),
], ids=str)  # fmt: skip
def test_short_forms(names: PointNames, short: tuple[Any, ...], full: str) -> None:
    assert names.short(*short) == full
    if len(short) > 1:
        assert names.resolve(short) == [full]  # type: ignore[arg-type]


def test_resolve(names: PointNames) -> None:
    layers = [f"blocks.{layer}.hook_resid_post" for layer in range(4)]
    assert names.resolve("resid_post") == layers
    assert names.resolve("blocks.*.hook_resid_post") == layers
    assert names.resolve("blocks.{1..2}.hook_resid_post") == layers[1:3]
    assert names.resolve(lambda name: name.endswith("resid_post")) == layers
    assert names.resolve([layers[2], ("resid_post", 0), layers[2]]) == [layers[0], layers[2]]
    assert names.resolve(None) == names.default
    assert set(names.default) < set(names.all)
    expanded = names.resolve("blocks.1.attn.hook_res*")
    assert expanded == ["blocks.1.attn.hook_result"]
    assert expanded[0] not in names.default


@pytest.mark.parametrize(("wanted", "error", "match"), [
    ("blocks.1.hook_resid_pots", KeyError, r"did you mean 'blocks\.1\.hook_resid_post'\?"),
    ("resid_pots", KeyError, "'resid_pots' is no point"),
    ("blocks.9.hook_resid_post", KeyError, r"blocks\.9"),
    (("resid_post", 4), IndexError, "layer is 4, expected -4 to 3"),
    (("resid_pots", 1), KeyError, r"did you mean 'blocks\.1\.hook_resid_post'\?"),
    ("nothing.*", ValueError, r"'nothing\.\*' matches no point"),
    (lambda _: False, ValueError, "matches no point"),
    ([], ValueError, "names_filter is empty"),
], ids=lambda value: "function" if callable(value) and not isinstance(value, type) else str(value)
)  # fmt: skip
def test_names_that_are_none(
    names: PointNames, wanted: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        names.resolve(wanted)


def test_unknown_names_the_nearest_or_nothing() -> None:
    assert "did you mean 'blue'?" in str(unknown("bleu", ["red", "blue"]))
    assert "did you mean" not in str(unknown("xyz", ["red", "blue"]))
