"""Misspelt keyword arguments: the error names the nearest one there is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

from lenswright.nearest import did_you_mean

P = ParamSpec("P")
R = TypeVar("R")


def hinted(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose TypeError for an unknown keyword argument names the nearest."""
    known = [
        name
        for name, one in inspect.signature(function).parameters.items()
        if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD) and name != "self"
    ]

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        check_names(f"{function.__name__}()", kwargs, known)
        return function(*args, **kwargs)

    return call


def with_arguments_of(
    other: Callable[P, Any], but: Sequence[str]
) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Gives a function another's arguments and their defaults, all `but` some, each by its name.

    Checkers see all of the other's; who passes one of `but` gets the TypeError of `hinted`.
    """
    whole = inspect.signature(other)
    kept = whole.replace(parameters=[p for p in whole.parameters.values() if p.name not in but])

    def decorate(function: Callable[..., R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            known = [name for name in kept.parameters if name != "self"]
            check_names(f"{function.__name__}()", kwargs, known)
            given = kept.bind(*args, **kwargs)
            given.apply_defaults()
            return function(**given.arguments)

        own = inspect.signature(function).return_annotation
        call.__signature__ = kept.replace(return_annotation=own)  # type: ignore[attr-defined]
        return call

    return decorate


def check_names(what: str, given: Iterable[str], known: Sequence[str]) -> None:
    """TypeError for the first name that is not among the known ones."""
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f", expected {', '.join(known)}"
            raise TypeError(f"{what} has no argument '{name}'{hint}")
