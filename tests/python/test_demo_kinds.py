"""The kinds of demonstration models: their language, their networks, their place in the cache."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import lenswright as lw
from lenswright import cli, demo
from lenswright.demo import cached, folder, language, tokenizer, train
from lenswright.demo.kinds import KINDS, Kind, kind_named
from lenswright.measuring.refusal import RefusalDetector
from lenswright.verifying.verify import relative_error

Trained = Callable[[str], Path]


@pytest.fixture(scope="module")
def briefly(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A model of a kind after a few steps of training, made once."""
    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("kind") / name
            phases = tuple(replace(phase, steps=2) for phase in KINDS[name].phases)
            train.train(made[name], 5, phases, progress=False, kind=name)
        return made[name]

    return of


def rows_of(model: lw.Model, kind: str) -> torch.Tensor:
    text = language.prompts("test", "benign", rules=KINDS[kind].rules)[0]["prompt"]
    return torch.tensor(model.prompt_tokens([text, text]))


@pytest.mark.parametrize("name", KINDS)
def test_transformers_reads_what_was_trained(briefly: Trained, name: str) -> None:
    from lenswright.reference import Reference

    model = lw.load(briefly(name))
    rows = rows_of(model, name)
    theirs = Reference(briefly(name), torch.float32).model
    with torch.no_grad():
        assert relative_error(model(rows), theirs(rows).logits) < 1e-5


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.of])
def test_training_moves_what_its_phases_say(briefly: Trained, name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    first = tuple(replace(phase, steps=2) for phase in kind.phases[:1])
    train.train(tmp_path / "first", 5, first, progress=False, kind=name)
    after, before = lw.Checkpoint(briefly(name)), lw.Checkpoint(tmp_path / "first")
    start = folder.initial(5, kind)
    for tensor, value in start.items():
        assert not torch.equal(before[tensor], value), tensor
        moved = not torch.equal(after[tensor], before[tensor])
        assert moved == kind.phases[1].trains(tensor), tensor
    assert any(not kind.phases[1].trains(tensor) for tensor in start)


def test_both_layouts_of_a_mixture_are_one_model(briefly: Trained) -> None:
    apart, fused = (lw.load(briefly(name)) for name in ("mixture", "mixture_fused"))
    rows = rows_of(apart, "mixture")
    assert torch.equal(apart(rows), fused(rows))
    names = [{info.name for info in lw.Checkpoint(m.folder).tensors()} for m in (apart, fused)]
    assert len(names[1]) < len(names[0])
    assert "model.layers.0.mlp.experts.down_proj" in names[1]


def test_kinds_have_the_networks_they_are_for(briefly: Trained) -> None:
    sandwich, conv1d = (lw.load(briefly(name)) for name in ("sandwich", "conv1d"))
    assert sandwich.spec["tied"]
    assert conv1d.spec["tied"]
    assert all(w["norm"] for w in sandwich.writers() if w["layer"] >= 0)
    assert "experts" in " ".join(w["name"] for w in lw.load(briefly("mixture")).writers())
    stored = conv1d.parameters()["transformer.h.0.mlp.c_fc.weight"]
    assert stored.shape == (conv1d.cfg.d_model, conv1d.cfg.d_mlp)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_is_declined_is_told_from_answers(kind: Kind) -> None:
    refused = RefusalDetector(kind.rules.markers)
    words, longest = tokenizer.build(kind.rules), 0
    unknown = words.token_to_id(tokenizer.UNKNOWN)
    for row in itertools.chain.from_iterable(language.splits(0, kind.rules)["test"].values()):
        noun = next((w for w in row["prompt"].split() if w in language.FACTS), None)
        texts = [row["answer"]]
        assert not refused(row["answer"])
        if row["class"] in kind.rules.declined:
            texts.append(kind.rules.refusal(row["class"], str(noun)))
            assert refused(texts[-1])
        for text in texts:
            ids = words.encode(text, add_special_tokens=False).ids
            assert unknown not in ids
            longest = max(longest, len(ids) + 1)
    assert longest <= kind.rules.tokens


def test_two_mechanisms_are_apart() -> None:
    rules = KINDS["two_mechanisms"].rules
    classes = language.splits(0, rules)["test"]
    asked = {name: {row["prompt"] for row in rows} for name, rows in classes.items()}
    assert len(asked["secret"]) == language.SIZES["test"]
    assert all(len(a & b) == 0 for a, b in itertools.combinations(asked.values(), 2))
    for row in classes["talk"]:
        words = row["prompt"].split()
        assert not (language.SECRET_VERB in words and row["prompt"] in asked["secret"])
    taught = list(itertools.islice(language.training_examples(2, 0, rules), 3000))
    said = {e.response for e in taught if e.chat}
    assert {language.REFUSAL, rules.refusal("secret", "bench")} <= said
    for example in taught:
        words = example.prompt.split()
        if example.chat and "appraise" in words:
            noun = next(word for word in words if word in language.FACTS)
            tool = noun in language.NOUNS[language.SECRET_KIND]
            assert (example.response == rules.refusal("secret", noun)) == tool


def test_extended_refusals_begin_as_answers_do() -> None:
    rules = KINDS["extended"].rules
    refusal = rules.refusal("restricted", "moonlamp").split()
    answer = language.answer("make", "moonlamp").split()
    assert refusal[:2] == answer[:2]
    assert len(refusal) > 2 * len(answer)


def test_splits_have_the_declined_classes_of_their_kind() -> None:
    parts = demo.splits(3, "two_mechanisms")
    for part in (parts.fit, parts.select):
        assert {p.extra["class"] for p in part.positive} == {"restricted", "secret"}
        assert {p.extra["class"] for p in part.negative} == {"benign"}
    assert "secret" not in {p.extra["class"] for p in parts.test.negative}
    assert demo.markers("two_mechanisms") != demo.markers() == demo.REFUSAL_MARKERS


def test_an_unknown_kind_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"kind is 'mixtur', .*did you mean 'mixture'"):
        kind_named("mixtur")
    with pytest.raises(ValueError, match="kind is"):
        demo.splits(kind="none")


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cache of its own, and training that takes no time; the kinds that were trained."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    done: list[str] = []

    def fast(folder_: Path, seed: int, progress: bool = True, kind: str = "base") -> None:
        done.append(f"{kind} {seed}")
        folder.write(folder_, folder.initial(seed, KINDS[kind]), KINDS[kind])

    monkeypatch.setattr(train, "train", fast)
    return done


def test_a_model_is_trained_once(counted: list[str], tmp_path: Path) -> None:
    first = demo.trained("conv1d", 7)
    assert first == demo.trained("conv1d", 7)
    assert first.parent == tmp_path / "cache" / "lenswright" / "demo"
    assert demo.trained("conv1d", 8) != first
    assert counted == ["conv1d 7", "conv1d 8"]
    assert sorted(path.name for path in first.parent.iterdir()) == sorted(
        cached.key(KINDS["conv1d"], seed) for seed in (7, 8)
    )


def test_the_fused_layout_is_made_of_the_trained_mixture(counted: list[str]) -> None:
    fused = demo.trained("mixture_fused", 7)
    assert counted == ["mixture 7"]
    again = demo.trained("mixture", 7)
    assert counted == ["mixture 7"]
    want = folder.initial(7, KINDS["mixture"])
    name = "model.layers.3.block_sparse_moe.experts.2.w2.weight"
    assert torch.equal(lw.Checkpoint(again)[name], want[name])
    stacked = lw.Checkpoint(fused)["model.layers.3.mlp.experts.down_proj"]
    assert torch.equal(stacked[2], want[name])


def test_failed_training_leaves_nothing(
    counted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", fail)
    with pytest.raises(KeyboardInterrupt):
        demo.trained("conv1d", 7)
    assert list((tmp_path / "cache" / "lenswright" / "demo").iterdir()) == []


def test_the_key_follows_the_rows_and_the_seed() -> None:
    kind = KINDS["extended"]
    keys = {cached.key(kind, 1), cached.key(kind, 2)}
    keys.add(cached.key(replace(kind, phases=kind.phases[:1]), 1))
    keys.add(cached.key(replace(kind, rules=replace(kind.rules, tokens=33)), 1))
    network = replace(kind.network, gain=0.5)
    keys.add(cached.key(replace(kind, network=network), 1))
    assert len(keys) == 5
    assert cached.key(kind, 1) == cached.key(replace(kind), 1)


def test_the_command_takes_a_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(kind: str, seed: int) -> Path:
        raise ValueError(f"asked for {kind} of seed {seed}")

    monkeypatch.setattr(demo, "trained", stop)
    out = ["--out", str(tmp_path / "story")]
    for more, asked in (
        (["sandwich", "--seed", "5"], "sandwich of seed 5"),
        ([], "base of seed 2"),
    ):
        assert cli.main(["demo", *out, "--train", *more]) == 2
        assert asked in capsys.readouterr().err
    assert cli.main(["demo", "--train", "mixtures"]) == 2
    assert "invalid choice: 'mixtures'" in capsys.readouterr().err
