"""Selection against the slow way: one candidate, one prompt, one public call at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
import wordy
from lenswright.directions import TokenLogOdds, difference_of_means, select
from lenswright.prompting.prompts import Prompt, Splits
from lenswright.selecting.packing import packed

LIMIT = 1e-10
FAMILIES = [
    "llama", "gpt2", "bloom", "falcon", "gemma2", "mistral", "mixtral", "phi", "olmo2",
    "deepseek_v3", "gpt_oss", "opt",
]  # fmt: skip
SCORE = TokenLogOdds(["w5", "w6 w7"], ["w8 w9 w10"])


@pytest.fixture(scope="module")
def splits() -> Splits:
    texts = wordy.sentences(30, seed=5, longest=5)
    # Some begin alike, so that their rows branch within the instruction too.
    texts = [f"w1 w2 {text}" if i % 2 else text for i, text in enumerate(texts)]
    parts = {
        role: {"positive": texts[10 * i : 10 * i + 5], "negative": texts[10 * i + 5 : 10 * i + 10]}
        for i, role in enumerate(("fit", "select", "test"))
    }
    return Splits.from_parts(**parts)


@pytest.fixture(scope="module")
def loaded(family: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    base = tmp_path_factory.mktemp("slowly")
    models: dict[str, lw.Model] = {}

    def get(name: str) -> lw.Model:
        if name not in models:
            models[name] = lw.load(wordy.copy(family(name), base / name), dtype="float64")
        return models[name]

    return get


def ids(prompt: Prompt) -> list[int]:
    return wordy.chat_ids(prompt.text)


def odds(model: lw.Model, prompts: tuple[Prompt, ...]) -> float:
    """The mean of SCORE, each continuation in a run of its own."""

    def log_p(prompt: Prompt, words: str) -> torch.Tensor:
        row, more = ids(prompt), wordy.ids(words)
        table = torch.log_softmax(model([row + more])[0], -1)
        return sum(table[len(row) - 1 + i, token] for i, token in enumerate(more))

    values = [
        torch.stack([log_p(p, "w5"), log_p(p, "w6 w7")]).logsumexp(0) - log_p(p, "w8 w9 w10")
        for p in prompts
    ]
    return float(torch.stack(values).mean())


def next_token(model: lw.Model, prompt: Prompt) -> torch.Tensor:
    return torch.log_softmax(model([ids(prompt)])[0, -1], -1)


def ends(model: lw.Model, prompts: tuple[Prompt, ...]) -> torch.Tensor:
    """Mean residuals before all blocks but the first, at the prompts' ends: [layers, d_model]."""
    names = [f"blocks.{layer}.hook_resid_pre" for layer in range(1, model.cfg.n_layers)]
    found = []
    for prompt in prompts:
        _, cache = model.run_with_cache([ids(prompt)], names)
        found.append(torch.stack([cache[name][0, -1] for name in names]))
    return torch.stack(found).mean(0)


def swapped(clean: Any, ablated: torch.Tensor, added: torch.Tensor) -> float:
    """COSMIC by its formula, on the least alike tenth (rounded up) of the layers."""
    plus, minus = clean
    alike = [float(a @ b / (a.norm() * b.norm())) for a, b in zip(plus, minus, strict=True)]
    low = sorted(range(len(alike)), key=alike.__getitem__)[: -(-len(alike) // 10)]

    def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
        x, y = (torch.cat([t[i] for i in sorted(low)]) for t in (a, b))
        return float(x @ y / (x.norm() * y.norm()))

    return cosine(ablated, minus) + cosine(added, plus)


def slowly(model: lw.Model, splits: Splits, point: str, v: torch.Tensor, raw: torch.Tensor) -> Any:
    """All scores of one direction."""
    positive, negative = splits.select.positive, splits.select.negative
    clean = ends(model, positive), ends(model, negative)
    unchanged = [next_token(model, prompt) for prompt in negative]
    with model.edited(lw.edits.ablate(model, v)):
        bypass, ablated = odds(model, positive), ends(model, positive)
        moved = [next_token(model, prompt) for prompt in negative]
    with model.hooks([(point, lambda x, hook: x + raw.to(x))]):
        induce, added = odds(model, negative), ends(model, negative)
    kl = [float((p.exp() * (p - q)).sum()) for p, q in zip(unchanged, moved, strict=True)]
    return {
        "bypass": bypass, "induce": induce, "kl": sum(kl) / len(kl),
        "cosmic": swapped(clean, ablated, added),
    }  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_every_score_is_that_of_the_slow_way(loaded: Any, splits: Splits, name: str) -> None:
    model = loaded(name)
    found = difference_of_means(model.collect(splits.fit))
    choice = select(model, found, splits.select, score=SCORE, n_random=2)
    tried = [row for row in choice.table if row["bypass"] is not None]
    assert len(tried) == 2 * (model.cfg.n_layers - 1)
    for row in (tried[0], tried[-1]):
        at = row["point"], row["offset"]
        expected = slowly(model, splits, row["point"], found.vector(*at), found.raw(*at))
        for score, value in expected.items():
            assert abs(row[score] - value) < LIMIT, score
    base = choice.null.base
    assert abs(base["bypass"] - odds(model, splits.select.positive)) < LIMIT
    assert abs(base["induce"] - odds(model, splits.select.negative)) < LIMIT
    random = lw._core.random_directions(2, model.cfg.d_model, 0)[1]
    expected = slowly(model, splits, choice.point, random, random * choice.raw_norm)
    for score, value in expected.items():
        assert abs(getattr(choice.null, score)[1] - value) < LIMIT, score


@pytest.mark.parametrize("point", ["resid_mid", "resid_post", "mlp_out"])
def test_directions_of_other_points_too(loaded: Any, splits: Splits, point: str) -> None:
    model = loaded("llama")
    found = difference_of_means(model.collect(splits.fit, points=point))
    choice = select(model, found, splits.select, score=SCORE, n_random=2)
    row = [row for row in choice.table if row["bypass"] is not None][-1]
    at = row["point"], row["offset"]
    expected = slowly(model, splits, row["point"], found.vector(*at), found.raw(*at))
    for score, value in expected.items():
        assert abs(row[score] - value) < LIMIT, score


def test_no_token_is_scored_where_residuals_choose(loaded: Any, splits: Splits) -> None:
    model = loaded("llama")
    found = difference_of_means(model.collect(splits.fit))
    choice = select(model, found, splits.select, by="cosmic", n_random=2)
    by_words = select(model, found, splits.select, by="cosmic", score=SCORE, n_random=2)
    positive, negative = splits.select.positive, splits.select.negative
    plus, minus = ends(model, positive), ends(model, negative)
    low = int(torch.nn.functional.cosine_similarity(plus, minus, dim=-1).argmin())

    def contrast(means: torch.Tensor) -> float:
        cosine = torch.nn.functional.cosine_similarity
        return float(cosine(means[low], plus[low], 0) - cosine(means[low], minus[low], 0))

    for row, other in zip(choice.table, by_words.table, strict=True):
        assert row["cosmic"] == other["cosmic"]
        assert row["kl"] == other["kl"]
        if row["bypass"] is None:
            continue
        at = row["point"], row["offset"]
        with model.edited(lw.edits.ablate(model, found.vector(*at))):
            assert abs(row["bypass"] - contrast(ends(model, positive))) < LIMIT
        raw = found.raw(*at)
        with model.hooks([(row["point"], lambda x, hook, raw=raw: x + raw)]):
            assert abs(row["induce"] - contrast(ends(model, negative))) < LIMIT
    assert abs(choice.null.base["bypass"] - contrast(plus)) < LIMIT
    assert choice.provenance["selection"]["by"] == "cosmic"
    assert choice.provenance["selection"]["score"] == "of residuals"
    kept = [row for row in choice.table if row["kept"]]
    if kept:
        assert choice.row["cosmic"] == max(row["cosmic"] for row in kept)
    with pytest.raises(ValueError, match=r"by is 'cosmos'.*did you mean 'cosmic'"):
        select(model, found, splits.select, by="cosmos")  # type: ignore[arg-type]


def test_a_hooked_model_gives_the_same(loaded: Any, splits: Splits) -> None:
    # With hooks each row stands by itself, so that they see what they always see.
    model = loaded("gpt2")
    found = difference_of_means(model.collect(splits.fit))
    seen: list[tuple[int, ...]] = []
    plain = select(model, found, splits.select, score=SCORE, n_random=2)
    with model.hooks([("blocks.0.hook_mlp_out", lambda x, hook: seen.append(tuple(x.shape)))]):
        hooked = select(model, found, splits.select, score=SCORE, n_random=2)
    longest = max(len(ids(p)) for p in splits.select) + 2  # two of a continuation are read
    assert {shape[1] for shape in seen} <= set(range(longest + 1))
    for row, other in zip(plain.table, hooked.table, strict=True):
        for score in ("bypass", "induce", "kl", "cosmic", "separation"):
            assert row[score] == pytest.approx(other[score], abs=1e-11)


def test_what_lines_share_stands_once() -> None:
    lines = [[1, 2, 3, 4], [1, 2, 5], [1, 2, 3], [9], [1, 2, 5], [1, 2, 3, 4, 6, 7]]
    (pack,) = packed(lines)
    assert len(pack.tokens) == 8
    for line, tokens in enumerate(lines):
        assert [pack.tokens[place] for place in pack.places[line]] == tokens
    assert pack.places[1] == pack.places[4]
    assert sum(length for _, length in pack.forks) == 8
    parents = []
    for after, length in pack.forks:
        parents += [after, *range(len(parents), len(parents) + length - 1)]
    for tokens in pack.places.values():
        assert [parents[place] for place in tokens] == [-1, *tokens[:-1]]
    for budget in (0, 3, 5):
        packs = packed(lines, budget)
        assert sorted(line for pack in packs for line in pack.lines) == list(range(6))
        assert all(len(p.tokens) <= max(budget, 6) for p in packs)
    assert len(packed(lines, 0)) == 6
