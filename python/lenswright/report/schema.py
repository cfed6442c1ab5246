"""What a report holds: one mapping of plain JSON values, every part of it optional but the title.

Matrices are lists of rows [position][layer] that fit `positions` and `layers` beside them; None is
a value that was not measured. Rates are between 0 and 1. Intervals are [low, high]. Numbers are
finite.
"""

from __future__ import annotations

from typing import TypedDict

Matrix = list[list[float | None]]
Facts = dict[str, str | int | float | bool | None]
"""Names and values that are shown as they are."""


class ModelFacts(TypedDict, total=False):
    """Which model was looked at."""

    name: str
    family: str
    parameters: int
    layers: int
    d_model: int
    dtype: str


class RunFacts(TypedDict, total=False):
    """How the run was made. `started`, `seconds` and `machine` differ from run to run;
    `Report.digest` leaves them out.
    """

    seed: int
    versions: dict[str, str]
    prompts: dict[
        str, int
    ]  # how many prompts each split has: {"fit": 128, "select": 64, "test": 256}
    sha256: dict[str, str]  # of each split: texts, answers and classes, in any order
    device: str
    command: str
    started: str
    seconds: float
    machine: str


class Classes(TypedDict, total=False):
    """What the two classes of the contrast are called."""

    positive: str
    negative: str


class Cell(TypedDict):
    """One place of a grid: `position` is the row (0 is the first of `positions`), `layer` the
    layer's own number.
    """

    position: int
    layer: int


class _Places(TypedDict):
    positions: list[str]  # the token at each position, as a string
    layers: list[int]


class Separation(_Places, total=False):
    """How far the classes lie apart at each position and layer."""

    separation: Matrix  # d': distance along the difference of means, in pooled standard deviations
    cosine: Matrix  # of the two class means
    norm: Matrix  # of the difference of means
    standard_error: Matrix  # of that difference, as a norm
    split_half: Matrix  # cosine of the directions found in two halves of the prompts
    note: str


class Null(TypedDict, total=False):
    """The same measure under random directions of equal norm."""

    metric: str  # "bypass", "induce" or "kl"
    values: list[float]


class Baseline(TypedDict, total=False):
    """The measures without any edit."""

    bypass: float
    induce: float
    cosmic: float


class Grid(_Places, total=False):
    """Every candidate direction, tried."""

    bypass: Matrix  # score of the positive class with the direction ablated: low is good
    induce: Matrix  # score of the negative class with the direction added: high is good
    kl: Matrix  # divergence from the unedited model on the negative class, nats: low is good
    cosmic: Matrix  # how far ablating and adding exchange the classes' late residuals, to 2
    front: list[list[bool]]  # whether on the Pareto front of bypass, induce and kl
    dropped: list[list[str | None]]  # why a candidate is out; None or "" where it was kept
    chosen: Cell
    null: Null
    baseline: Baseline
    score: str  # what bypass and induce measure, such as "log-odds of refusing"
    rule: str  # how the choice was made, in a sentence
    fallback: str  # which rule was relaxed since no candidate passed, if one was
    note: str


class _Effect(TypedDict):
    name: str
    after: float


class Effect(_Effect, total=False):
    """One measure, without and with the edit."""

    unit: str  # "rate" (the default) or a word such as "nats"
    before: float
    interval: list[float]
    interval_before: list[float]
    interval_kind: str  # "Wilson 95 %", "bootstrap 95 %"
    interval_change: list[float]  # of after - before on the same prompts
    p: float  # that nothing changed on the same prompts
    p_kind: str  # the test that gave it: "McNemar, exact"
    null: list[float]  # the same measure under random directions, 20 or more
    n: int
    better: str  # "lower", "higher" or "same"
    note: str


class _Answer(TypedDict):
    text: str


class Answer(_Answer, total=False):
    """What was generated; `refused` and `true` where they were judged."""

    refused: bool | None
    true: bool | None


class _Text(TypedDict):
    prompt: str


class Text(_Text, total=False):
    """One prompt and its answers."""

    kind: str  # the class of the prompt
    expected: str
    before: Answer | str
    after: Answer | str
    tried: Answer | str
    baked: Answer | str


class _Comparison(TypedDict):
    left: str
    right: str


class Comparison(_Comparison, total=False):
    """Two ways to the same numbers, and the largest difference between them; 0 is bit for bit."""

    difference: float | None
    demand: float
    passed: bool | None  # default: difference <= demand
    note: str


class Equivalence(TypedDict, total=False):
    """That what was tried is what was written."""

    comparisons: list[Comparison]  # in order: tried = applied = committed = transformers
    measure: str  # what the differences are of, such as "largest relative difference of logits"
    hashes: dict[str, str]  # name to SHA-256
    facts: Facts  # anything more about the baking: folder, tensors rewritten, bytes, seconds


class _Writer(TypedDict):
    name: str


class Writer(_Writer, total=False):
    """What the edit does to one weight that writes to the residual stream."""

    edited: bool
    change: float  # |W' - W| / |W|
    along_before: float  # |v'W| / |W|
    along_after: float  # |v'W'| / |W|
    note: str


class _Criterion(TypedDict):
    name: str


class Criterion(_Criterion, total=False):
    """One demand, what was reached, and whether that is enough; None means not measured."""

    demand: str
    reached: str | float | None
    passed: bool | None
    note: str


class _ReportData(TypedDict):
    title: str  # the finding, in one sentence


class ReportData(_ReportData, total=False):
    """A run: what was looked at, tried, measured and baked."""

    summary: str  # a paragraph below the title
    model: ModelFacts
    run: RunFacts
    classes: Classes
    separation: Separation
    grid: Grid
    edit: Facts  # method, writers, strength, direction …
    measured_on: str  # which prompts the effects are of, such as "256 prompts of the test split"
    effects: list[Effect]
    texts: list[Text]
    writers: list[Writer]
    equivalence: Equivalence
    criteria: list[Criterion]
    notes: list[str]
