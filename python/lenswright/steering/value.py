"""A steering as a value: operations on the residual stream of a run, in order."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenswright.editing.aiming import check_made
from lenswright.prompting.prompt_sets import ROLES
from lenswright.steering import file
from lenswright.steering.acting import act
from lenswright.steering.term import Term

if TYPE_CHECKING:
    from lenswright import _core
    from lenswright.model import Model
    from lenswright.reading import Reading


class Steering:
    """What is done to the residual stream while a model runs; no weight changes. Immutable.

    Made by `lw.steering.add` and its neighbours, or `lw.steering.load`. The same value drives every
    run within `model.steered(steering)`, `model.generate(..., steering=steering)`, a
    `Conversation`, `lw.measure`, `lenswright chat --steer` and `lenswright steer`.

    `a + b` does a and then b wherever both act at one point; `0.5 * a` multiplies what every
    operation changes (of a norm-preserving addition: what is added), and so a schedule does.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self._terms = tuple(terms)
        widths = sorted({term.aim.width for term in self._terms})
        if not widths:
            raise ValueError("terms is empty, expected at least one operation")
        if len(widths) > 1:
            raise ValueError(
                f"the steerings have directions of {widths} numbers, expected those of one model"
            )

    @property
    def terms(self) -> tuple[Term, ...]:
        """The operations, in order."""
        return self._terms

    @property
    def d_model(self) -> int:
        """The width of the residual stream it is made for."""
        return self._terms[0].aim.width

    @property
    def provenance(self) -> dict[str, Any]:
        """How it was made: each operation and its directions' own provenance.

        "fit" and "select" hold the digests of all prompts that its directions have seen.
        """
        sources = [source for term in self._terms for source in _sources(term)]
        roles: dict[str, Any] = {}
        for role in ROLES:
            seen = [source[role] for source in sources if role in source]
            if seen:
                digests = sorted({digest for one in seen for digest in one["digests"]})
                roles[role] = {"role": role, "digests": digests}
        return {"method": "steering", "terms": [file.facts_of(t) for t in self._terms]} | roles

    @property
    def id(self) -> str:
        """SHA-256 over operations and directions: equal for steerings that do the same."""
        digest = hashlib.sha256()
        for term in self._terms:
            facts = {k: v for k, v in file.facts_of(term).items() if not k.endswith("source")}
            digest.update(json.dumps(facts, sort_keys=True).encode())
            for name, tensor in file.tensors_of(term).items():
                digest.update(name.encode() + tensor.detach().numpy().tobytes())
        return digest.hexdigest()

    @property
    def alike(self) -> bool:
        """Whether rows that begin alike are steered alike there."""
        return all(term.places.alike for term in self._terms)

    def steer(self, model: Model, taps: _core.Taps, reading: Reading) -> None:
        """Put the operations into a run's taps. `with model.steered(steering):` does this.

        Raises:
            ValueError: directions of another width or from another model; a strength out of range.
            IndexError: a layer the model does not have, a position beyond a prompt.
            KeyError: the model has no such point.
        """
        for term in self._terms:
            act(model, taps, term, reading)

    def check(self, model: Model) -> None:
        """See that the directions may be this model's.

        Warns where they were found in a model with the same sizes and other settings or weights.

        Raises:
            ValueError: they are of another width, or were found in a model of other sizes.
        """
        cfg = model.cfg
        if self.d_model != cfg.d_model:
            raise ValueError(
                f"the steering has directions of {self.d_model} numbers, but d_model is "
                f"{cfg.d_model}: it was made for another model"
            )
        for term in self._terms:
            list(term.points(model))
            for source in _sources(term):
                check_made(source.get("model"), model, only_warn=True)

    def random_like(self, seed: int = 0, index: int = 0) -> Steering:
        """The same with random directions of equal lengths: a null. Conditions stay as they are.

        Args:
            seed, index: the index-th of a seed; uniform on the sphere, one for all layers.
        """
        per = sum(1 + (term.other is not None) for term in self._terms)
        place, terms = index * per, []
        for term in self._terms:
            aim, other = term.aim.random(seed, place), term.other
            place += 1
            if other is not None:
                other = other.random(seed, place)
                place += 1
            source = {"random": {"seed": seed, "index": index}}
            terms.append(replace(term, aim=aim, other=other, source=source))
        return Steering(terms)

    def save(self, path: str | Path) -> None:
        """Write it to a new .safetensors file; `lw.steering.load` reads it back bit for bit.

        Raises:
            FileExistsError: the file exists.
        """
        file.save(path, self._terms)

    def save_control_vector(self, path: str | Path, model: Model) -> Path:
        """Write it as a GGUF control vector, which llama.cpp and repeng add at the same places.

        Raises:
            ValueError: it is more than additions of fixed vectors to the residual stream at every
                position; as `lw.edits.save_control_vector` does.
            IndexError: it acts before the output of the second block.
            FileExistsError: the file exists.
        """
        from lenswright.editing.control_vector import save_control_vector
        from lenswright.steering.plain import added_vectors

        return save_control_vector(path, added_vectors(self._terms, model), model)

    @classmethod
    def load(cls, path: str | Path) -> Steering:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            CheckpointError: it is no valid safetensors file.
            ValueError: it holds something else.
        """
        return cls(file.load(path))

    def __add__(self, other: object) -> Steering:
        if not isinstance(other, Steering):
            return NotImplemented
        return Steering([*self._terms, *other._terms])

    def __radd__(self, other: object) -> Steering:
        return self if other == 0 else NotImplemented  # sum([a, b]) begins with 0

    def __mul__(self, factor: float) -> Steering:
        if not isinstance(factor, int | float):
            return NotImplemented
        return Steering([replace(t, weight=t.weight * float(factor)) for t in self._terms])

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Steering) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Steering({'; then '.join(map(str, self._terms))})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<li>{html.escape(str(term))}</li>" for term in self._terms)
        return f"<b>Steering</b> of a residual of {self.d_model}<ol>{rows}</ol>"


def checked(model: Model, steerings: Sequence[object]) -> None:
    """See that all are steerings, and may be this model's.

    Raises:
        TypeError: one is no `Steering`.
        ValueError, IndexError, KeyError: see `Steering.steer`.
    """
    for steering in steerings:
        if not isinstance(steering, Steering):
            raise TypeError(
                f"steering is {type(steering).__name__}, expected a Steering (lw.steering.add ...)"
            )
        steering.check(model)


def _sources(term: Term) -> list[Mapping[str, Any]]:
    condition = [] if term.condition is None else [term.condition.source]
    return [term.source, *term.source.get("others", []), *condition]
