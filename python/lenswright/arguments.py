"""Misspelt keyword arguments: the error names the nearest one there is."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar

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


def check_names(what: str, given: Iterable[str], known: Sequence[str]) -> None:
    """TypeError for the first name that is not among the known ones."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean '{near[0]}'?" if near else f", expected {', '.join(known)}"
            raise TypeError(f"{what} has no argument '{name}'{hint}")
