"""Recipes of mixtures: YAML of mergekit-moe's grammar, read strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lenswright.merging import recipes
from lenswright.merging.references import model_text
from lenswright.nearest import did_you_mean

MODES = ("hidden", "hidden_last", "hidden_avg", "cheap_embed", "random", "uniform_random")
DTYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32", "float64": "F64"}
_KEYS = (
    "base_model", "experts", "shared_experts", "gate_mode", "dtype", "experts_per_token",
    "architecture",
)  # fmt: skip
_EXPERT = ("source_model", "positive_prompts", "negative_prompts", "noise_scale", "residual_scale")


@dataclass(frozen=True)
class Expert:
    """One expert: whose MLPs it has, and which prompts call for it.

    noise: standard deviation of what is added to its weights. residual: a factor of what it writes.
    """

    model: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    noise: float
    residual: float
    where: str


@dataclass(frozen=True)
class MixtureRecipe:
    """A recipe: `gates` is one of MODES, `dtype` a type of the format or "" for the base's."""

    base: str
    experts: tuple[Expert, ...]
    shared: tuple[Expert, ...]
    gates: str
    dtype: str
    chosen: int
    layout: str | None
    data: dict[str, Any]

    @property
    def prompted(self) -> bool:
        """Whether gates are made of prompts."""
        return self.gates not in ("random", "uniform_random")

    def models(self) -> list[str]:
        """Every model it names, each once, the base first."""
        return list(dict.fromkeys([self.base, *(e.model for e in (*self.experts, *self.shared))]))


def read(source: recipes.Source) -> MixtureRecipe:
    """Read a recipe of mergekit-moe's grammar.

    Args:
        source: a YAML file, YAML text of several lines, or a mapping.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unknown key (with the nearest), a value out of range, prompts that lack.
    """
    documents = recipes.read(source)
    if len(documents) > 1:
        raise ValueError(f"{documents[0].where}: {len(documents)} documents, expected one")
    data, where = documents[0].data, documents[0].where
    _check_keys(data, _KEYS, where)
    for key in ("base_model", "experts"):
        if not data.get(key):
            raise ValueError(f"{where}: no {key}")
    mode = _choice(data.get("gate_mode") or "hidden", MODES, f"{where}: gate_mode")
    dtype = data.get("dtype")
    experts = _experts(data["experts"], f"{where}: experts")
    shared = _experts(data.get("shared_experts") or [], f"{where}: shared_experts")
    if len(shared) > 1:
        raise ValueError(f"{where}: shared_experts has {len(shared)}, expected one at most")
    chosen = data.get("experts_per_token", 2)
    if not isinstance(chosen, int) or not 1 <= chosen <= len(experts):
        raise ValueError(
            f"{where}: experts_per_token is {chosen!r}, expected 1 to {len(experts)}, the number "
            "of experts"
        )
    recipe = MixtureRecipe(
        model_text(data["base_model"], f"{where}: base_model"), experts, shared, mode,
        DTYPES[_choice(dtype, tuple(DTYPES), f"{where}: dtype")] if dtype else "", chosen,
        data.get("architecture"), data,
    )  # fmt: skip
    for expert in recipe.experts if recipe.prompted else ():
        if not expert.positive:
            raise ValueError(
                f"{expert.where}: no positive_prompts, of which gate_mode '{mode}' makes its gate; "
                "expected some, or gate_mode: random"
            )
    return recipe


def _experts(value: Any, where: str) -> tuple[Expert, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is {value!r}, expected a list")
    return tuple(_expert(one, f"{where}[{i}]") for i, one in enumerate(value))


def _expert(value: Any, where: str) -> Expert:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is {value!r}, expected source_model and positive_prompts")
    _check_keys(value, _EXPERT, where)
    if not value.get("source_model"):
        raise ValueError(f"{where}: no source_model")
    noise = _number(value.get("noise_scale"), 0.0, f"{where}: noise_scale")
    if noise < 0:
        raise ValueError(f"{where}: noise_scale is {noise}, expected 0 or more")
    return Expert(
        model_text(value["source_model"], f"{where}: source_model"),
        _prompts(value.get("positive_prompts"), f"{where}: positive_prompts"),
        _prompts(value.get("negative_prompts"), f"{where}: negative_prompts"),
        noise,
        _number(value.get("residual_scale"), 1.0, f"{where}: residual_scale"),
        where,
    )


def _prompts(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(p, str) and p for p in value):
        raise ValueError(f"{where} is {value!r}, expected a list of texts")
    return tuple(value)


def _number(value: Any, otherwise: float, where: str) -> float:
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where} is {value!r}, expected a number")
    return float(value)


def _choice(value: Any, known: Sequence[str], where: str) -> str:
    if value in known:
        return str(value)
    hint = did_you_mean(value, known) or f", expected one of {', '.join(known)}"
    raise ValueError(f"{where} is {value!r}{hint}")


def _check_keys(data: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in data:
        if key not in known:
            hint = did_you_mean(key, known) or f"; expected {', '.join(known)}"
            raise ValueError(f"{where}: unknown key '{key}'{hint}")
