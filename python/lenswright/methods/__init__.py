"""Edits made of two files of prompts: each method, what it takes, and how it is made.

All is in one table, `METHODS`; the shell's help, what is checked before anything runs, the edit and
what a report says of it derive from it. Importing this does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lenswright.methods import along, holding, sparing
from lenswright.methods.method import USUAL, Ground, Method
from lenswright.nearest import expected_one_of

if TYPE_CHECKING:
    from lenswright.edits import Edit
    from lenswright.story import Plan

__all__ = ["METHODS", "USUAL", "Ground", "Method", "check", "helped", "method_named", "told"]

METHODS: dict[str, Method] = {
    "plain": along.of_one("plain", "default"),
    "projected": Method(
        "against the negatives' mean", along.projected, along.like_projected
    ),
    "write_norm": along.of_one("write_norm"),
    "row_norm": along.of_one("row_norm"),
    "row_oblique": along.of_one("row_oblique"),
    "reflection": along.of_one("reflection"),
    "strengthen": along.of_one("strengthen", "adds to it"),
    "subspace": along.of_several(
        "subspace", "the --rank leading directions of positive prompts about the negatives' mean"
    ),
    "ridge": along.of_several("ridge", "of those what --ridge lets through"),
    "affine": Method(
        "holds what negative prompts have there", holding.affine, holding.like_affine,
        takes=frozenset({"strength", "massive"}), remark=holding.remark,
    ),
    "leace": Method(
        "erases all by which a linear probe tells the prompts apart; needs biases", holding.leace,
        holding.like_leace, takes=frozenset({"strength"}),
    ),
    "oblique": Method(
        "leace without its constant", holding.oblique, holding.like_oblique,
        takes=frozenset({"writers", "strength"}),
    ),
    "condition": Method(
        "spares what negative prompts write", sparing.balanced, sparing.like_sparing
    ),
    "null_space": Method(
        "changes next to nothing that negative prompts reach", sparing.null_space,
        sparing.like_sparing,
    ),
}  # fmt: skip
"""Ways to edit that need no more than two files of prompts."""


def method_named(name: str) -> Method:
    """The method of a name.

    Raises:
        ValueError: there is none.
    """
    if name not in METHODS:
        raise ValueError(expected_one_of("method", name, METHODS, cutoff=0.4))
    return METHODS[name]


def check(plan: Plan) -> Method:
    """The method of a plan, if it takes every setting that was named.

    Raises:
        ValueError: there is no such method, or it does not take one of them.
    """
    method = method_named(plan.method)
    for name, usual in USUAL.items():
        value = getattr(plan, name)
        if name in method.takes or value in usual:
            continue
        takers = [other for other, one in METHODS.items() if name in one.takes]
        raise ValueError(
            f"{name} is {value!r}, which method '{plan.method}' does not take; expected "
            f"{usual[0]!r}, or one of the methods {takers}"
        )
    return method


def told(plan: Plan, edit: Edit) -> dict[str, Any]:
    """What a report says of an edit: its method with formula and paper, and its settings."""
    from lenswright.editing.method_words import SETTINGS, WORDS, unscaled

    method, made = METHODS[plan.method], unscaled(edit.provenance)
    facts: dict[str, Any] = {
        "method": f"{plan.method}: {WORDS[plan.method]}", "strength": plan.strength,
    }  # fmt: skip
    if "rank" in method.takes:
        facts["rank"] = along.rank_of(plan)
    return facts | {name: made[name] for name in SETTINGS.get(plan.method, ()) if name in made}


def helped() -> str:
    """Every method, for the shell's help."""
    return ", ".join(f"{name} ({m.brief})" if m.brief else name for name, m in METHODS.items())
