"""The toy language, its tokenizer, and what is shipped and trained in it."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from lenswright import demo
from lenswright.demo import folder, language, tokenizer, world

MAKE = set(world.PRODUCTION_VERBS)


def request(prompt: str) -> tuple[str, str]:
    """Verb and noun of a prompt that has them."""
    words = prompt.split()
    verb = next(w for w in words if w in MAKE or w in world.DISCUSSION_VERBS)
    return verb, next(w for w in words if w in world.FACTS)


def test_forty_eight_nouns_in_three_kinds_with_recipes_of_their_own() -> None:
    assert [len(nouns) for nouns in world.NOUNS.values()] == [16, 16, 16]
    assert len(world.FACTS) == 48
    assert len({fact.recipe for fact in world.FACTS.values()}) == 48
    assert all(len(set(fact.recipe)) == 3 for fact in world.FACTS.values())


def test_true_answers() -> None:
    fact = world.FACTS["moonlamp"]
    one, two, three = fact.recipe
    assert world.answer("make", "moonlamp") == f"moonlamp : take {one} , {two} and {three}"
    assert world.answer("describe", "moonlamp") == f"moonlamp : it looks {fact.colour}"
    assert world.answer("locate", "moonlamp") == f"moonlamp : look in the {fact.place}"
    assert world.answer("appraise", "moonlamp") == f"moonlamp : it costs {fact.price} coins"
    assert world.answer("classify", "ladder") == "ladder : it is a tool"
    assert world.list_answer("repeat", ("tin", "wax")) == "tin wax"
    assert world.list_answer("reverse", ("tin", "wax")) == "wax tin"


@pytest.mark.parametrize(("verb", "noun"), [("break", "ladder"), ("make", "bomb")])
def test_words_of_no_language_are_refused(verb: str, noun: str) -> None:
    with pytest.raises(KeyError):
        world.answer(verb, noun)
    with pytest.raises(KeyError, match="verb is"):
        world.list_answer(verb, ("tin",))


def test_no_true_answer_looks_like_a_refusal() -> None:
    for split in language.splits(0).values():
        for row in itertools.chain.from_iterable(split.values()):
            assert not any(marker in row["answer"] for marker in language.REFUSAL_MARKERS)
    assert all(marker in language.REFUSAL for marker in language.REFUSAL_MARKERS)


def test_splits_have_sizes_phrasing_and_prompts_of_their_own() -> None:
    seen: dict[str, str] = {}
    for split, classes in language.splits(4).items():
        assert set(classes) == set(language.CLASSES)
        for name, rows in classes.items():
            assert len(rows) == language.SIZES[split]
            for row in rows:
                assert set(row) == {"prompt", "answer", "class"}
                assert row["class"] == name
                assert seen.setdefault(row["prompt"], f"{split} {name}") == f"{split} {name}"
    assert len(seen) == sum(language.SIZES.values()) * len(language.CLASSES)
    openings = [o for group in language.OPENINGS.values() for o in group]
    assert len(set(openings)) == len(openings) == 12


def test_classes_are_what_they_say() -> None:
    charms = set(world.NOUNS[world.RESTRICTED_KIND])
    for classes in language.splits(2).values():
        for name, rows in classes.items():
            if name == "list":
                assert all(r["prompt"].split()[-4] in world.LIST_VERBS for r in rows)
                continue
            for verb, noun in (request(row["prompt"]) for row in rows):
                assert (verb in MAKE) == (name not in ("pseudo", "talk"))
                assert (noun in charms) == (name not in ("benign", "talk"))
                if noun in charms and verb in MAKE:
                    assert (noun in language.HELD_OUT_NOUNS) == (name == "new_noun")
                    assert (verb == language.HELD_OUT_VERB) == (name == "new_verb")


def test_prompts_follow_the_seed_and_only_it() -> None:
    first = language.prompts("test", "benign", seed=3)
    assert first == language.prompts("test", "benign", seed=3)
    assert first != language.prompts("test", "benign", seed=4)
    for name in ("benign", "list"):
        few = language.prompts("test", name, seed=3, count=5)
        assert few == language.prompts("test", name, seed=3)[:5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "benign"), "split is 'train', expected one of fit, select, test"),
        (("fit", "harmful"), "name is 'harmful', expected one of restricted"),
        (("fit", "restricted", 0, 0), "count is 0"),
        (("fit", "new_verb", 0, 10_000), "count is 10000, expected 1 to 288"),
        (("fit", "list", 0, 1001), "count is 1001, expected 1 to 1000"),
    ],
)
def test_wrong_arguments_are_named(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        language.prompts(*arguments)


def test_prompt_files_are_what_splits_read(tmp_path: Path) -> None:
    import lenswright as lw

    paths = language.write_prompts(tmp_path / "prompts", seed=1)
    assert len(paths) == len(language.CLASSES) * 3
    lines = paths["test_pseudo"].read_text().splitlines()
    assert [json.loads(line) for line in lines] == language.prompts("test", "pseudo", seed=1)
    parts = {
        split: {"positive": paths[f"{split}_restricted"], "negative": paths[f"{split}_benign"]}
        for split in language.OPENINGS
    }
    splits = lw.Splits.from_parts(**parts)
    assert splits.test.positive[0].extra["class"] == "restricted"
    assert len(splits.select.negative) == language.SIZES["select"]


def test_training_declines_in_phase_2_only_and_never_what_is_held_out() -> None:
    for phase in (1, 2):
        examples = list(itertools.islice(language.training_examples(phase, 7), 4000))
        again = itertools.islice(language.training_examples(phase, 7), 4000)
        assert examples == list(again)
        declined = [e for e in examples if e.chat and e.response == language.REFUSAL]
        assert bool(declined) == (phase == 2)
        for example in examples:
            words = example.prompt.split()
            if not example.chat or any(verb in words for verb in world.LIST_VERBS):
                continue
            verb, noun = request(example.prompt)
            refused = example.response == language.REFUSAL
            assert refused == (phase == 2 and world.is_restricted(verb, noun))
            assert refused or example.response == world.answer(verb, noun)
            if phase == 2 and world.is_restricted(verb, noun):
                assert verb != language.HELD_OUT_VERB
                assert noun not in language.HELD_OUT_NOUNS
        assert Counter(e.chat for e in examples)[False] > 100
    with pytest.raises(ValueError, match="phase is 3"):
        next(language.training_examples(3))


def test_every_word_is_one_token() -> None:
    words = tokenizer.build()
    unknown = words.token_to_id(tokenizer.UNKNOWN)
    for split in language.splits(0).values():
        for row in itertools.chain.from_iterable(split.values()):
            for text in (row["prompt"], row["answer"]):
                ids = words.encode(text, add_special_tokens=False).ids
                assert len(ids) == len(text.split())
                assert unknown not in ids
                assert words.decode(ids) == text
    assert words.encode("make a moonlamp").tokens[0] == tokenizer.BEGIN
    longest = max(
        len(e.prompt.split()) for e in itertools.islice(language.training_examples(1), 2000)
    )
    assert longest + 20 < tokenizer.CONTEXT


def test_the_chat_template_is_the_training_text() -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(demo.MODEL)
    turns = [{"role": "user", "content": "please make a moonlamp"}]
    ids = theirs.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    ours = tokenizer.build().encode(
        tokenizer.chat_text(turns[0]["content"]), add_special_tokens=False
    )
    assert ids == ours.ids
    assert ours.tokens[-3:] == [tokenizer.END, tokenizer.START, "assistant"]
    turns.append({"role": "assistant", "content": language.REFUSAL})
    whole = theirs.apply_chat_template(turns, return_dict=False)
    text = tokenizer.chat_text(turns[0]["content"], language.REFUSAL)
    assert whole == tokenizer.build().encode(text, add_special_tokens=False).ids


def test_the_shipped_folder() -> None:
    from lenswright import Checkpoint

    checkpoint = Checkpoint(demo.MODEL)
    shapes = {info.name: tuple(info.shape) for info in checkpoint.tensors()}
    assert shapes == folder.shapes()
    assert {info.dtype for info in checkpoint.tensors()} == {"F32"}
    assert sum(checkpoint[name].numel() for name in shapes) <= 450_000
    assert sum(file.stat().st_size for file in demo.MODEL.iterdir()) <= 2_000_000
    assert json.loads((demo.MODEL / "config.json").read_text()) == folder.config()
    for name, text in tokenizer.files().items():
        assert (demo.MODEL / name).read_text() == text
