"""Prompts: files with their lines, splits by hash, and parts that cannot be mixed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from lenswright.prompting.prompts import (
    Prompt,
    PromptSet,
    Splits,
    need_role,
    read_test_set,
    refuse_overlap,
)

TEXTS = [f"please write number {i}" for i in range(40)]
OTHERS = [f"what is the colour of {i}" for i in range(30)]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def texts(prompts: tuple[Prompt, ...]) -> list[str]:
    return [prompt.text for prompt in prompts]


def test_a_split_has_the_sizes_of_its_fractions() -> None:
    splits = Splits.from_rows(TEXTS, OTHERS)
    assert [len(part.positive) for part in splits.parts] == [20, 8, 12]
    assert [len(part.negative) for part in splits.parts] == [15, 6, 9]
    assert [part.role for part in splits.parts] == ["fit", "select", "test"]
    together = [text for part in splits.parts for text in texts(part.positive)]
    assert sorted(together) == sorted(TEXTS)


def test_a_split_depends_on_seed_and_prompt_only() -> None:
    shuffled = TEXTS[:]
    random.Random(1).shuffle(shuffled)
    first, second = Splits.from_rows(TEXTS, OTHERS), Splits.from_rows(shuffled, OTHERS)
    assert texts(first.fit.positive) == texts(second.fit.positive)
    assert first.provenance == second.provenance
    other = Splits.from_rows(TEXTS, OTHERS, seed=1)
    assert texts(other.fit.positive) != texts(first.fit.positive)
    assert other.fit.sha256 != first.fit.sha256


def test_every_format_reads_the_same_prompts(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"prompt": text, "answer": "yes", "class": "a"} for text in TEXTS]
    files = [
        write(tmp_path / "a.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n"),
        write(tmp_path / "a.json", json.dumps(rows, indent=2)),
        write(tmp_path / "a.csv", "prompt,answer,class\n" + "".join(f"{t},yes,a\n" for t in TEXTS)),
    ]
    negative = write(tmp_path / "b.txt", "\n".join(OTHERS))
    splits = [Splits.from_files(file, negative) for file in files]
    assert splits[0].provenance == splits[1].provenance == splits[2].provenance
    prompt = splits[0].fit.positive[0]
    assert (prompt.answer, prompt.extra) == ("yes", {"class": "a"})
    assert prompt.place.startswith(str(files[0]) + ":")
    assert splits[0].fit.negative[0].answer is None


def test_a_place_is_the_line_of_the_file(tmp_path: Path) -> None:
    listed = write(
        tmp_path / "a.json", '[\n  "one",\n\n  {"prompt": "two",\n   "x": 1},\n  "three"\n]'
    )
    plain = write(tmp_path / "b.txt", "four\n\nfive\nsix\n")
    splits = Splits.from_files(listed, plain, fractions=(0.4, 0.3, 0.3))
    places = {p.text: Path(p.place).name for part in splits.parts for p in part}
    assert places == {
        "one": "a.json:2", "two": "a.json:4", "three": "a.json:6",
        "four": "b.txt:1", "five": "b.txt:3", "six": "b.txt:4",
    }  # fmt: skip


def test_instructions_join_their_input_and_outputs_are_answers(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Add.", "input": "1 + 1", "output": "2"},
        {"instruction": "Say hello.", "input": "", "output": "hello"},
        {"statement": "Water is wet.", "label": "1"},
    ]
    path = write(tmp_path / "a.json", json.dumps(rows))
    splits = Splits.from_files(path, write(tmp_path / "b", "x\ny\nz"), fractions=(0.4, 0.3, 0.3))
    found = {p.text: p.answer for part in splits.parts for p in part.positive}
    assert found == {"Add.\n1 + 1": "2", "Say hello.": "hello", "Water is wet.": None}


def test_a_label_column_sorts_a_table_into_classes(tmp_path: Path) -> None:
    lines = [f"statement number {i},{i % 2}" for i in range(20)]
    path = write(tmp_path / "facts.csv", "statement,label\n" + "\n".join(lines) + "\n")
    splits = Splits.from_files(path, path)
    odd = {int(p.text.split()[-1]) % 2 for part in splits.parts for p in part.positive}
    even = {int(p.text.split()[-1]) % 2 for part in splits.parts for p in part.negative}
    assert (odd, even) == ({1}, {0})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "", r"a\.jsonl: has no prompts"),
        ("a.txt", "\n \n", r"a\.txt: has no prompts"),
        ("a.json", "[]", r"a\.json: has no prompts"),
        ("a.jsonl", '{"prompt": "x"}\n{"prompt": \n', r"a\.jsonl:2: not a JSON line"),
        ("a.jsonl", '{"prompt": "x"}\n3\n', r"a\.jsonl:2: is a int, expected"),
        ("a.jsonl", '{"promt": "x"}\n', r"""a\.jsonl:1: has no "prompt" \(its keys: 'promt'\)"""),
        ("a.jsonl", '{"prompt": 7}\n', r'a\.jsonl:1: "prompt" is 7, expected a string'),
        ("a.jsonl", '\n{"prompt": " "}\n', r'a\.jsonl:2: "prompt" is empty'),
        ("a.jsonl", '{"prompt": "x", "answer": 3}', r'a\.jsonl:1: "answer" is 3'),
        ("a.json", '{"prompt": "x"}', r"a\.json:1: expected a JSON array"),
        ("a.json", '["x",\n "y"\n "z"]', r"a\.json:3: not JSON \(expected ',' or '\]'\)"),
        ("a.json", '["x",\n', r"a\.json:\d: not JSON"),
        ("a.json", '["x"]\n["y"]', r"a\.json:1: text behind the end"),
        ("a.csv", "words,label\nx,1\n", r"a\.csv:1: has columns \['words', 'label'\]"),
        ("a.csv", "statement,label\nx,1\ny,maybe\n", r"a\.csv:3: label is 'maybe'"),
        ("a.csv", "statement,label\nx\n", r"a\.csv:2: does not have the 2 columns"),
        ("a.csv", "statement,label\nx,0\n", r"a\.csv: has no prompts with label 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_its_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = write(tmp_path / name, text)
    with pytest.raises(ValueError, match=message):
        Splits.from_files(path, write(tmp_path / "other", "a\nb\nc"))


def test_other_bytes_than_utf8_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"good\nb\xffd\n")
    with pytest.raises(ValueError, match=r"a\.txt:2: expected UTF-8 text"):
        Splits.from_files(path, path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Splits.from_files(tmp_path / "nowhere", tmp_path / "nowhere")


def test_a_prompt_in_two_parts_is_refused_with_its_text() -> None:
    parts = {
        "fit": {"positive": ["make a pie"], "negative": ["a"]},
        "select": {"positive": ["b"], "negative": ["c"]},
        "test": {"positive": ["d"], "negative": ["Make  a PIE"]},
    }
    with pytest.raises(ValueError, match=r"'Make  a PIE' .*in test.negative .*in fit.positive"):
        Splits.from_parts(**parts)
    with pytest.raises(ValueError, match="every prompt in one part and one class only"):
        Splits.from_rows(TEXTS, [*OTHERS, TEXTS[3]])


def test_a_prompt_in_two_files_is_refused_with_both_places(tmp_path: Path) -> None:
    fit = write(tmp_path / "fit.txt", "one\ntwo\n")
    test = write(tmp_path / "test.txt", "three\nTWO\n")
    rest = {"negative": ["x"]}
    with pytest.raises(ValueError, match=r"test\.txt:2\).*fit\.txt:2\)"):
        Splits.from_parts(
            fit={"positive": fit} | rest,
            select={"positive": ["s"], "negative": ["y"]},
            test={"positive": test, "negative": ["z"]},
        )


def test_repeated_prompts_are_left_out_and_said() -> None:
    with pytest.warns(UserWarning, match="1 repeated prompts are left out.*PLEASE write number 3"):
        splits = Splits.from_rows([*TEXTS, "PLEASE write number 3"], OTHERS)
    assert sum(len(part.positive) for part in splits.parts) == len(TEXTS)


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5, 0.5), (0.5, 0.5), (1.0, 0.0, 0.0), (0.7, 0.4, -0.1)]
)
def test_bad_fractions_are_refused(fractions: Any) -> None:
    with pytest.raises(ValueError, match="fractions is"):
        Splits.from_rows(TEXTS, OTHERS, fractions=fractions)


def test_a_part_without_prompts_is_refused() -> None:
    with pytest.raises(ValueError, match="leave none to select"):
        Splits.from_rows(["a", "b"], OTHERS)
    with pytest.raises(ValueError, match=r"fit has keys \['negativ', 'positive'\]"):
        Splits.from_parts(fit={"positive": ["a"], "negativ": ["b"]}, select={}, test={})


def test_roles_are_checked() -> None:
    splits = Splits.from_rows(TEXTS, OTHERS)
    assert need_role(splits.fit, "fit", "fitting") is splits.fit
    with pytest.raises(ValueError, match="'test' part of its splits, expected the 'fit' part"):
        need_role(splits.test, "fit", "fitting")
    with pytest.raises(ValueError, match=r"prompts is a Splits, expected the \.fit part"):
        need_role(splits, "fit", "fitting")
    with pytest.raises(ValueError, match="prompts is a list, expected"):
        need_role(TEXTS, "fit", "fitting")


def test_a_part_keeps_its_role() -> None:
    splits = Splits.from_rows(TEXTS, OTHERS)
    with pytest.raises(ValueError, match="select is the 'test' part, expected a 'select' part"):
        Splits(splits.fit, splits.test, splits.select)


def test_prompts_used_before_are_refused() -> None:
    splits = Splits.from_rows(TEXTS, OTHERS)
    refuse_overlap(splits.select, {"fit": splits.fit.provenance}, "selecting")
    again = PromptSet("select", splits.fit.positive[:1], splits.select.negative)
    with pytest.raises(ValueError, match="was already used to fit; selecting needs prompts unseen"):
        refuse_overlap(again, {"fit": splits.fit.provenance}, "selecting")


def test_shared_contrast_files_read(data: Path) -> None:
    folder = data / "contrast"
    splits = Splits.from_files(folder / "happiness.json", folder / "sadness.json")
    assert len(splits.fit) > 100
    facts = folder / "facts_true_false.csv"
    with (
        pytest.warns(UserWarning, match="repeated prompts are left out"),
        pytest.raises(ValueError, match=r"Nile River.*csv:367.*in select.negative.*csv:207"),
    ):
        Splits.from_files(
            facts, facts
        )  # says of one statement that it is true and that it is false
    with pytest.warns(UserWarning, match="positive: 25 repeated prompts"):
        splits = Splits.from_files(folder / "instructions.json", folder / "fear.json")
    assert splits.fit.positive[0].answer


def test_the_picture_escapes_prompts() -> None:
    splits = Splits.from_rows(["<b>1", "2", "3"], ["4", "5", "6"], fractions=(0.34, 0.33, 0.33))
    assert "<b>1" not in splits._repr_html_()
    assert "fit 1 + 1" in repr(splits)


def test_tables_of_over_refusal_are_both_sides(tmp_path: Path) -> None:
    """Such as XSTest's: id, prompt, type, label (safe or unsafe), focus, note."""
    table = tmp_path / "set.csv"
    rows = [f"{i},how do I stop process {i}?,homonyms,{'safe' if i % 4 else 'unsafe'},,"
            for i in range(8)]  # fmt: skip
    table.write_text("id,prompt,type,label,focus,note\n" + "\n".join(rows) + "\n")
    found = read_test_set(table, table)
    assert [p.extra["label"] for p in found.positive] == ["unsafe"] * 2
    assert [p.extra["label"] for p in found.negative] == ["safe"] * 6
    assert len(read_test_set(table, None).negative) == 6
