"""The tokenizer section of a recipe: every mistake is told with its place and what was expected."""

from __future__ import annotations

from typing import Any

import pytest

from lenswright.merging.tokenizer_section import check

RIGHT: list[Any] = [
    {"source": "union"},
    {"source": "some/model", "pad_to_multiple_of": 64},
    {"tokens": {"<x>": {"source": "some/model"}, "<y>": {"force": True}}},
    {"tokens": {"<x>": {"source": {"kind": "zero"}, "force": False}}},
    {"tokens": {"<x>": {"source": {"kind": "model_token", "model": "m", "token": "<s>"}}}},
    {"tokens": {"<x>": {"source": {"kind": "model_token", "model": "m", "token_id": 0}}}},
]


@pytest.mark.parametrize("section", RIGHT)
def test_right(section: Any) -> None:
    check(section)


def token(source: Any, **more: Any) -> dict[str, Any]:
    return {"tokens": {"<x>": {"source": source, **more}}}


WRONG: list[tuple[Any, str]] = [
    ("union", "tokenizer is 'union', expected"),
    ({}, "tokenizer is {}, expected"),
    ({"sorce": "base"}, "unknown key 'sorce'.* did you mean 'source'"),
    ({"source": 3}, "tokenizer.source is 3, expected a text"),
    ({"pad_to_multiple_of": 0}, "pad_to_multiple_of is 0, expected a whole number of 1 or more"),
    ({"pad_to_multiple_of": "64"}, "pad_to_multiple_of is '64', expected a whole number"),
    ({"pad_to_multiple_of": True}, "pad_to_multiple_of is True, expected a whole number"),
    ({"tokens": ["<x>"]}, "tokens is .* expected entries by token"),
    ({"tokens": {"<x>": "base"}}, "tokenizer.tokens.<x> is 'base', expected force, source"),
    ({"tokens": {"<x>": {"sauce": "m"}}}, "unknown key 'sauce'.* did you mean 'source'"),
    (token("m", force="yes"), "<x>.force is 'yes', expected true or false"),
    (token(3), "<x>.source is 3, expected a model, or {kind}"),
    (token({"kind": "zeros"}), "kind is 'zeros', .* did you mean 'zero'"),
    (token({"kind": "zero", "model": "m"}), "unknown key 'model'; expected kind"),
    (token({"kind": "model_token", "model": "m"}), "expected model, and token or token_id"),
    (token({"kind": "model_token", "token": "a"}), "expected model, and token or token_id"),
    (
        token({"kind": "model_token", "model": "m", "token": "a", "token_id": 1}),
        "expected model, and token or token_id",
    ),
    (token({"kind": "model_token", "model": "m", "tokn": "a"}), "did you mean 'token'"),
    (token({"kind": "model_token", "model": "m", "token_id": "1"}), "token_id is '1', expected"),
    (token({"kind": "model_token", "model": "m", "token": 1}), "token is 1, expected a text"),
]


@pytest.mark.parametrize(("section", "said"), WRONG)
def test_wrong(section: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        check(section)
    assert "\n" not in str(caught.value)
