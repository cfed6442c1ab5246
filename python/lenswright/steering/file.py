"""A steering in a safetensors file: its vectors in float64, the rest as JSON in the metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import Any

import torch

from lenswright.checkpoints import tensor_file
from lenswright.steering.aim import Aim
from lenswright.steering.condition import Condition
from lenswright.steering.places import Places, Rule
from lenswright.steering.schedule import Schedule
from lenswright.steering.spans import Spans
from lenswright.steering.term import Term

KEY = "lenswright.steering"

_PLAIN = ("operation", "strength", "unit", "at", "preserve_norm", "weight")


def facts_of(term: Term) -> dict[str, Any]:
    """A term without its vectors, as plain data."""
    facts: dict[str, Any] = {name: getattr(term, name) for name in _PLAIN}
    facts["layers"] = None if term.layers is None else list(term.layers)
    facts["positions"] = [_rule_facts(rule) for rule in term.places.rules]
    for name in ("over_tokens", "over_layers"):
        schedule: Schedule | None = getattr(term, name)
        if schedule is not None:
            facts[name] = [list(knot) for knot in schedule.knots]
    if term.norms:
        facts["norms"] = {str(layer): norm for layer, norm in sorted(term.norms.items())}
    if term.condition is not None:
        facts["when"] = {n: getattr(term.condition, n) for n in ("threshold", "unit", "below")}
        facts["when_source"] = dict(term.condition.source)
    return facts | {"source": dict(term.source)}


def _rule_facts(rule: Rule) -> Any:
    if isinstance(rule, str):
        return rule
    if isinstance(rule, Spans):
        return {"span": rule.key, "texts": [list(pair) for pair in rule.texts]}
    if isinstance(rule, tuple):
        return list(rule)
    # Its name tells people, its place in memory apart from others of that name.
    return {"predicate": getattr(rule, "__qualname__", repr(rule)), "at": id(rule)}


def _rule_of(facts: Any) -> Rule:
    if isinstance(facts, str):
        return facts
    if isinstance(facts, dict):
        return Spans(facts["span"], tuple((prompt, text) for prompt, text in facts["texts"]))
    return facts[0], facts[1]


def tensors_of(term: Term) -> dict[str, torch.Tensor]:
    """Its vectors: "direction" or "direction.LAYER", and so "other" and "when"."""
    aims = {"direction": term.aim, "other": term.other}
    aims["when"] = None if term.condition is None else term.condition.aim
    return {
        f"{name}.{layer}".removesuffix("."): vector
        for name, aim in aims.items()
        if aim is not None
        for layer, vector in aim.tensors.items()
    }


def save(path: str | Path, terms: Sequence[Term]) -> None:
    """Write terms to a new file.

    Raises:
        ValueError: a term's positions are a predicate, which is a function and no data.
    """
    for term in terms:
        if any(callable(rule) for rule in term.places.rules):
            raise ValueError(
                f"positions of '{term}' are a predicate, which no file can hold; expected names, "
                "whole numbers, slices, 'text:WORDS' or spans"
            )
    tensors = {
        f"{index}.{name}": vector
        for index, term in enumerate(terms)
        for name, vector in tensors_of(term).items()
    }
    tensor_file.save(path, tensors, {KEY: dumps({"terms": [facts_of(term) for term in terms]})})


def is_steering(path: str | Path) -> bool:
    """Whether a file is a steering that `save` wrote, or a GGUF control vector."""
    from lenswright.checkpoints.checkpoint import Checkpoint

    if Path(path).suffix == ".gguf":
        return Path(path).is_file()
    if Path(path).suffix != ".safetensors" or not Path(path).is_file():
        return False
    return KEY in Checkpoint(path).metadata


def load(path: str | Path) -> list[Term]:
    """Terms of a file; what it says is checked as what a call says is."""
    tensors, facts = tensor_file.load(path, KEY)
    try:
        return [_term(one, _of(tensors, str(index))) for index, one in enumerate(facts["terms"])]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is a damaged steering: {error}") from error


def _term(facts: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Term:
    aim = _aim(tensors, "direction")
    if aim is None:
        raise KeyError("it has no direction")
    when, seen = facts.get("when"), _aim(tensors, "when")
    layers = facts["layers"]
    rules = tuple(_rule_of(rule) for rule in facts["positions"])
    return Term(
        aim=aim, other=_aim(tensors, "other"),
        layers=None if layers is None else tuple(layers),
        places=Places(rules),
        condition=None if when is None or seen is None
        else Condition(seen, **when, source=facts["when_source"]),
        over_tokens=_schedule(facts, "over_tokens"), over_layers=_schedule(facts, "over_layers"),
        norms={int(layer): norm for layer, norm in facts.get("norms", {}).items()},
        source=facts["source"], **{name: facts[name] for name in _PLAIN},
    )  # fmt: skip


def _schedule(facts: Mapping[str, Any], name: str) -> Schedule | None:
    return Schedule.of({int(p): v for p, v in facts[name]}, name) if name in facts else None


def _aim(tensors: Mapping[str, torch.Tensor], name: str) -> Aim | None:
    if name in tensors:
        return Aim(tensors[name], {})
    own = {int(key): vector for key, vector in _of(tensors, name).items()}
    return Aim(None, own) if own else None


def _of(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    start = f"{prefix}."
    return {key[len(start) :]: t for key, t in tensors.items() if key.startswith(start)}
