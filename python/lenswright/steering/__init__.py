"""Steering: what is done to the residual stream while a model runs, as a value.

With h a token's vector at the steered point, u the direction at length 1, c = ⟨h, u⟩ its component
and s the strength:

    add      h + s u                          project  h - s c u (1 removes, 2 reflects)
    clamp    h + (s - c) u                    scale    h + (s - 1) c u
    cap      h + min(s - c, 0) u              floor    h + max(s - c, 0) u
    swap     exchanges the components along two directions and leaves what is orthogonal to both:
             h - 2 ⟨h, d⟩ d, d = (u - u') / |u - u'|

All share these arguments (`Where`):

layers: a layer, several, a range, or "all"; negative ones from the end. Default: the layer a
    `Choice` or `Directions` was found at, or those of {layer: tensor}.
at: the point of a layer: "resid_pre" (default), "resid_mid", "resid_post", "attn_out", "mlp_out" or
    another of [batch, pos, d_model]; "writes" is all that is written to the residual stream: the
    embeddings where layer 0 is meant, and what attention and MLP add.
positions: "all" (default); "prefill", the prompt; "decode", what is said behind it; "last",
    "first", whole numbers (negative from its end) and slices of the prompt; "pre_instruction",
    "instruction", "post_instruction", "template", parts of it that the chat template tells apart;
    "text:WORDS", the tokens of the last such words in the prompt; `spans(prompts, key)`, those of
    the text that each prompt's row names; a predicate (place, token's text) -> bool on the prompt;
    or a list of these, together. What a position is never depends on whether keys and values are
    cached.
when: a condition on the token's component along another direction; see `when`.
over_tokens: {generated token: factor}, linear between and constant beyond: 0 is the prompt, 1 the
    first token said. over_layers: {layer: factor}. Both multiply what an operation changes.

The strength of add, clamp, cap and floor is a length in a `unit`: "absolute" (default), numbers of
the residual stream; "relative", parts of the mean norm at the layer, which `norms` says
(`residual_norms`); "token", parts of the token's own norm; "own", lengths of the direction as it
was given (of a `Choice`: of its difference of means). All is computed in the type of the run, in
float32 where that has 16 bits.

>>> steering = lw.steering.add(choice, strength=1.0, unit="own", positions="decode")
>>> with model.steered(steering):
...     model.generate(model.chat_tokens("describe a kettle"), return_type="text")

Sources: activation addition, Turner et al. 2023 (arXiv:2308.10248), Rimsky et al. 2023
(arXiv:2312.06681); norms preserved, Vogel's repeng; ablation, Arditi et al. 2024
(arXiv:2406.11717).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lenswright.steering.condition import Condition, when
from lenswright.steering.file import is_steering
from lenswright.steering.making import Where, make
from lenswright.steering.norms import residual_norms
from lenswright.steering.spans import Spans, spans
from lenswright.steering.term import OPERATIONS, UNITS
from lenswright.steering.value import Steering

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lenswright.model import Model

__all__ = [
    "OPERATIONS",
    "UNITS",
    "Condition",
    "Spans",
    "Steering",
    "Where",
    "add",
    "cap",
    "clamp",
    "floor",
    "from_control_vector",
    "is_steering",
    "load",
    "make",
    "project",
    "residual_norms",
    "scale",
    "spans",
    "swap",
    "when",
]


def add(
    direction: object,
    strength: float,
    unit: str = "absolute",
    norms: Mapping[int, float] | None = None,
    preserve_norm: bool = False,
    **where: Unpack[Where],
) -> Steering:
    """Add a direction: h + s u.

    Args:
        direction: a tensor [d_model], a `Choice`, `Directions` with one, or {layer: tensor}.
        strength: s in its unit; negative values subtract.
        unit, norms: see `lenswright.steering`.
        preserve_norm: scale the sum back to the norm of h: (h + s u) |h| / |h + s u|.
        where: layers, at, positions, when, over_tokens, over_layers.

    Raises:
        ValueError: a direction that is zero, not finite or of another shape; numbers out of range;
            an unknown unit, position or layer; norms that are missing.
        TypeError: a direction, or an argument, of another kind.

    >>> lw.steering.add(torch.ones(64), 4.0, layers=[2, 3], positions=["last", "decode"])
    Steering(add 4 at resid_pre of layers 2..3, positions last + decode)
    """
    return make(
        "add", direction, strength, unit=unit, norms=norms, preserve_norm=preserve_norm, **where
    )


def project(direction: object, strength: float = 1.0, **where: Unpack[Where]) -> Steering:
    """Take a direction out: h - s c u. At every write it is the edit `lw.edits.ablate`, tried.

    Args:
        direction: as in `add`.
        strength: 1 removes, 2 reflects, negative values amplify.
        where: layers, at, positions, when, over_tokens, over_layers.

    Raises:
        ValueError, TypeError: as in `add`.

    >>> lw.steering.project(torch.ones(64), layers="all", at="writes")
    Steering(project out at writes of all layers)
    """
    return make("project", direction, strength, **where)


def clamp(
    direction: object,
    strength: float,
    unit: str = "absolute",
    norms: Mapping[int, float] | None = None,
    **where: Unpack[Where],
) -> Steering:
    """Set the component along a direction to a value: h + (s - c) u. Arguments as in `add`."""
    return make("clamp", direction, strength, unit=unit, norms=norms, **where)


def cap(
    direction: object,
    strength: float,
    unit: str = "absolute",
    norms: Mapping[int, float] | None = None,
    **where: Unpack[Where],
) -> Steering:
    """Hold the component at or below a value: h + min(s - c, 0) u. Arguments as in `add`."""
    return make("cap", direction, strength, unit=unit, norms=norms, **where)


def floor(
    direction: object,
    strength: float,
    unit: str = "absolute",
    norms: Mapping[int, float] | None = None,
    **where: Unpack[Where],
) -> Steering:
    """Hold the component at or above a value: h + max(s - c, 0) u. Arguments as in `add`."""
    return make("floor", direction, strength, unit=unit, norms=norms, **where)


def scale(direction: object, strength: float, **where: Unpack[Where]) -> Steering:
    """Multiply the component along a direction: h + (s - 1) c u.

    Args:
        direction: as in `add`.
        strength: 0 removes the component, 1 leaves it, -1 reflects it.
        where: layers, at, positions, when, over_tokens, over_layers.

    Raises:
        ValueError, TypeError: as in `add`.
    """
    return make("scale", direction, strength, **where)


def swap(direction: object, other: object, **where: Unpack[Where]) -> Steering:
    """Exchange the components along two directions u and u': afterwards ⟨h', u⟩ = ⟨h, u'⟩.

    The reflection h - 2 ⟨h, d⟩ d with d = (u - u') / |u - u'|: exact for directions at any angle,
    it keeps the norm and what is orthogonal to both.

    Args:
        direction, other: as `direction` in `add`; not the same direction.
        where: layers, at, positions, when, over_tokens, over_layers.

    Raises:
        ValueError, TypeError: as in `add`.
    """
    return make("swap", direction, other=other, **where)


def from_control_vector(
    source: object,
    strength: float = 1.0,
    preserve_norm: bool = False,
    model: Model | None = None,
    **where: Unpack[Where],
) -> Steering:
    """A GGUF control vector, or repeng's, as a steering that acts where llama.cpp and repeng act.

    Every direction is added at its own length, times the strength, to its block's output.

    Args:
        source: a .gguf file, or repeng's `ControlVector`; see `lw.edits.load_control_vector`.
        strength: repeng's `coeff`, llama.cpp's scale.
        preserve_norm: repeng's `normalize`.
        model: checks that the file was made for one of these sizes.
        where: layers (blocks whose output is meant; default: all of the file), positions, when,
            over_tokens, over_layers.

    Raises:
        FileNotFoundError, CheckpointError, ValueError: as `lw.edits.load_control_vector` does.

    >>> happy = lw.steering.from_control_vector("happy.gguf", 1.5)
    >>> model.generate("Describe a kettle.", steering=happy)
    """
    from lenswright.editing.control_vector import load_control_vector

    vectors = {layer - 1: v for layer, v in load_control_vector(source, model).items() if v.any()}
    if "at" in where:
        raise TypeError("at is given, but a control vector acts on outputs of blocks (resid_post)")
    return make("add", vectors, strength, unit="own", preserve_norm=preserve_norm,
                at="resid_post", **where)  # fmt: skip


def load(path: str | Path) -> Steering:
    """Read a steering that `Steering.save` wrote, or a GGUF control vector at strength 1.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: it is no valid safetensors or GGUF file.
        ValueError: it holds something else.
    """
    return from_control_vector(path) if Path(path).suffix == ".gguf" else Steering.load(path)
