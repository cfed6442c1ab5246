"""
Lenswright's tensors: models, taps, statistics, directions, edits.
"""
from __future__ import annotations
import collections.abc
import lenswright._files
import os
import torch
import typing
__all__: list[str] = ['Accumulator', 'Covariance', 'Edit', 'Extremes', 'Generation', 'Histogram', 'Kept', 'Model', 'Moments', 'Norms', 'Quantiles', 'ReadText', 'Samples', 'Sampling', 'Taps', 'ablate', 'ablate_tensors', 'add', 'affine', 'all_misreadings', 'before_norm', 'binary_leace', 'check_in_place', 'commit_edit', 'compose_edits', 'deterministic', 'diagonal_lda', 'difference_of_means', 'drawn', 'edit_methods', 'estimate_commit', 'filtered', 'inlp', 'invert_edit', 'is_deterministic', 'label_permutations', 'lda', 'leace', 'ledoit_wolf_share', 'logistic_probe', 'low_rank', 'make_edit', 'misreadings', 'oracle_share', 'pca', 'pca_of_rows', 'penalized', 'random_directions', 'read_statistics', 'recheck', 'reread', 'restrict_edit', 'restrict_edit_to_heads', 'revert_commit', 'scale_edit', 'shrunk', 'solve_covariance', 'som', 'stack_edits', 'sum_edits', 'try_edit', 'weights_state', 'winsorised']
class deterministic:
    """
    Within it, results on the CPU are the same bytes for any batch, padding and thread count.

    Args:
        on: False switches back to fast runs inside an outer context.
    """
    def __enter__(self) -> None:
        ...
    def __exit__(self, *args) -> None:
        ...
    def __init__(self, on: bool = True) -> None:
        ...
class Taps:
    """
    An ordered set of readers and writers on the points of a model.
    """
    def add(self, name: str, vector: torch.Tensor) -> None:
        """
        Adds a vector to every token at a point, in the vector's type.
        """
    def capture(self, name: str, positions: torch.Tensor | None = None, device: torch.device | None = None, detach: bool = True) -> None:
        """
        Keeps the tensor of a point: all of it, or the given positions (int64).
        """
    def watch(self, kind: str, layer: typing.SupportsInt | typing.SupportsIndex, expert: typing.SupportsInt | typing.SupportsIndex, function: collections.abc.Callable) -> None:
        """
        Calls a function with what a writer reads, [..., inputs].
        """
    def write(self, name: str, function: collections.abc.Callable) -> None:
        """
        Adds a function tensor -> tensor at a point.
        """
    @property
    def captured(self) -> dict[str, torch.Tensor]:
        """
        What the last run left, by name.
        """
class Model:
    """
    A spec, weights, a device and a type.
    """
    @staticmethod
    def load(checkpoint: lenswright._files.Checkpoint, device: str = 'cpu', dtype: str = 'auto', strict: bool = False) -> Model:
        ...
    @staticmethod
    def share(config: str, tensors: collections.abc.Mapping[str, torch.Tensor], device: str = 'cpu', dtype: str = 'auto') -> Model:
        """
        A model of tensors somebody holds, by name; config is JSON.
        """
    def has_weight(self, name: str) -> bool:
        ...
    def points(self, expanded: bool = False) -> list:
        ...
    def quantised(self) -> dict:
        """
        Tensors that are stored quantised: {name: (form, its codes' name, its scales')}.
        """
    def run(self, taps: Taps, tokens: torch.Tensor, lengths: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], side: str = 'right', logits: str = 'all', start_at_layer: typing.SupportsInt | typing.SupportsIndex = 0, stop_at_layer: typing.SupportsInt | typing.SupportsIndex | None = None, residual: torch.Tensor | None = None, forks: collections.abc.Sequence[tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex]] = [], places: torch.Tensor | None = None) -> tuple:
        """
        The only forward: (logits or None, residual where it stopped). forks [(after, length)] are the stretches of rows that branch; places are those of which more is wanted than the last block's attention.
        """
    def stored(self) -> dict[str, torch.Tensor]:
        """
        The stored tensors by their names in the checkpoint; of quantised ones codes and scales, or what an applied edit made of them.
        """
    def taps(self) -> Taps:
        """
        A new, empty set of taps for this model.
        """
    def weight(self, name: str, original: bool = False) -> torch.Tensor:
        """
        One canonical weight as a view of what is stored, or widened to float32.
        """
    def weights(self) -> dict[str, torch.Tensor]:
        """
        Canonical weights as views of the stored tensors; quantised ones widened to float32.
        """
    def writers(self) -> list:
        ...
    @property
    def checkpoint(self) -> lenswright._files.Checkpoint:
        ...
    @property
    def device(self) -> torch.device:
        ...
    @property
    def dtype(self) -> torch.dtype:
        ...
    @property
    def size(self) -> int:
        """
        How many numbers its weights are.
        """
    @property
    def spec(self) -> dict:
        ...
class Sampling:
    """
    How the next token is chosen; defaults do nothing.
    """
    def __init__(self, temperature: typing.SupportsFloat | typing.SupportsIndex = 0.0, top_k: typing.SupportsInt | typing.SupportsIndex = 0, top_p: typing.SupportsFloat | typing.SupportsIndex = 1.0, min_p: typing.SupportsFloat | typing.SupportsIndex = 0.0, repetition_penalty: typing.SupportsFloat | typing.SupportsIndex = 1.0, frequency_penalty: typing.SupportsFloat | typing.SupportsIndex = 0.0, presence_penalty: typing.SupportsFloat | typing.SupportsIndex = 0.0) -> None:
        ...
    @property
    def frequency_penalty(self) -> float:
        ...
    @property
    def min_p(self) -> float:
        ...
    @property
    def presence_penalty(self) -> float:
        ...
    @property
    def repetition_penalty(self) -> float:
        ...
    @property
    def temperature(self) -> float:
        ...
    @property
    def top_k(self) -> int:
        ...
    @property
    def top_p(self) -> float:
        ...
class ReadText:
    """
    What one row has read, with its keys and values; the next goes on from there.
    """
    def __init__(self) -> None:
        ...
    @property
    def tokens(self) -> list[int]:
        ...
class Generation:
    """
    Continuations of prompts, a pass at a time.
    """
    def __init__(self, model: Model, prefill: Taps, decode: Taps, tokens: torch.Tensor, lengths: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], side: str, max_new_tokens: typing.SupportsInt | typing.SupportsIndex, stop_ids: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], use_cache: bool, share_prefix: bool, sampling: Sampling, seeds: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], read: ReadText | None = None) -> None:
        ...
    def end(self, row: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    def step(self) -> list[int]:
        """
        One pass: the new id of every row (-1: it had ended); [] after a shared prefix.
        """
    @property
    def done(self) -> bool:
        ...
    @property
    def logits(self) -> torch.Tensor:
        """
        Of the last pass [rows, d_vocab], as the model gave them.
        """
    @property
    def positions(self) -> torch.Tensor:
        """
        Of the last pass [rows or 1, pos].
        """
    @property
    def reused(self) -> int:
        """
        Tokens of the prompt that were not read again.
        """
    @property
    def said(self) -> list[list[int]]:
        ...
class Samples:
    """
    Which places of a batch are samples, and whose they are.
    """
    def __init__(self, rows: torch.Tensor, places: torch.Tensor, cells: torch.Tensor, prompts: torch.Tensor) -> None:
        ...
class Accumulator:
    """
    What is kept of vectors, cell by cell.
    """
    def state(self) -> dict[str, torch.Tensor]:
        """
        Everything it would be made again from, by name.
        """
    def take(self, values: torch.Tensor, samples: Samples) -> None:
        """
        Adds values [samples, width] float64 to their cells.
        """
class Moments(Accumulator):
    """
    Count, mean and sum of squared deviations of vectors, elementwise, cell by cell, in float64.
    """
    @staticmethod
    def from_state(state: collections.abc.Mapping[str, torch.Tensor]) -> Moments:
        """
        From what `state` gave.
        """
    @staticmethod
    def of(count: torch.Tensor, mean: torch.Tensor, m2: torch.Tensor | None) -> Moments:
        """
        From saved parts.
        """
    def __init__(self, cells: typing.SupportsInt | typing.SupportsIndex, width: typing.SupportsInt | typing.SupportsIndex, squares: bool = True) -> None:
        ...
    def add(self, values: torch.Tensor, cells: torch.Tensor) -> None:
        """
        Adds samples [n, width] to their cells [n], one after the other (Welford).
        """
    def at(self, cells: torch.Tensor) -> Moments:
        """
        A copy of some cells.
        """
    def merge(self, other: Moments) -> None:
        """
        Adds another's samples, cell by cell.
        """
    def variance(self) -> torch.Tensor:
        """
        m2 / (count - 1); NaN below two samples.
        """
    @property
    def count(self) -> torch.Tensor:
        ...
    @property
    def m2(self) -> torch.Tensor | None:
        ...
    @property
    def mean(self) -> torch.Tensor:
        ...
class Covariance(Accumulator):
    """
    Count, mean and sum of outer products of deviations of vectors, cell by cell, in float64.
    """
    @staticmethod
    def from_state(state: collections.abc.Mapping[str, torch.Tensor]) -> Covariance:
        """
        From what `state` gave.
        """
    def __init__(self, cells: typing.SupportsInt | typing.SupportsIndex, width: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    def add(self, values: torch.Tensor, cells: torch.Tensor) -> None:
        """
        Adds samples [n, width] to their cells [n].
        """
    def at(self, cells: torch.Tensor) -> Covariance:
        """
        A copy of some cells.
        """
    def covariance(self) -> torch.Tensor:
        """
        comoment / (count - 1); NaN below two samples.
        """
    def merge(self, other: Covariance) -> None:
        """
        Adds another's samples, cell by cell.
        """
    @property
    def comoment(self) -> torch.Tensor:
        ...
    @property
    def count(self) -> torch.Tensor:
        ...
    @property
    def mean(self) -> torch.Tensor:
        ...
class Extremes(Accumulator):
    """
    The largest and smallest values of every coordinate, with the prompt and place they came from.
    """
    @staticmethod
    def from_state(state: collections.abc.Mapping[str, torch.Tensor]) -> Extremes:
        """
        From what `state` gave.
        """
    def __init__(self, cells: typing.SupportsInt | typing.SupportsIndex, width: typing.SupportsInt | typing.SupportsIndex, kept: typing.SupportsInt | typing.SupportsIndex = 3) -> None:
        ...
    def at(self, cells: torch.Tensor) -> Extremes:
        """
        A copy of some cells.
        """
    def merge(self, other: Extremes) -> None:
        """
        Adds another's samples, cell by cell.
        """
    @property
    def places(self) -> torch.Tensor:
        ...
    @property
    def prompts(self) -> torch.Tensor:
        ...
    @property
    def values(self) -> torch.Tensor:
        ...
class Kept(Accumulator):
    """
    The samples themselves, sorted by cell, prompt and place.
    """
    @staticmethod
    def from_state(state: collections.abc.Mapping[str, torch.Tensor]) -> Kept:
        """
        From what `state` gave.
        """
    def __init__(self, cells: typing.SupportsInt | typing.SupportsIndex, width: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    def at(self, cells: torch.Tensor) -> Kept:
        """
        A copy of some cells.
        """
    def merge(self, other: Kept) -> None:
        """
        Adds another's samples, cell by cell.
        """
    @property
    def cells(self) -> torch.Tensor:
        ...
    @property
    def places(self) -> torch.Tensor:
        ...
    @property
    def prompts(self) -> torch.Tensor:
        ...
    @property
    def values(self) -> torch.Tensor:
        ...
class Quantiles(Accumulator):
    """
    A sketch of every coordinate's distribution whose quantiles are right to a share of their size.
    """
    @staticmethod
    def from_state(state: collections.abc.Mapping[str, torch.Tensor]) -> Quantiles:
        """
        From what `state` gave.
        """
    def __init__(self, cells: typing.SupportsInt | typing.SupportsIndex, width: typing.SupportsInt | typing.SupportsIndex, error: typing.SupportsFloat | typing.SupportsIndex = 0.01) -> None:
        ...
    def at(self, cells: torch.Tensor) -> Quantiles:
        """
        A copy of some cells.
        """
    def merge(self, other: Quantiles) -> None:
        """
        Adds another's samples, cell by cell.
        """
    def quantile(self, q: typing.SupportsFloat | typing.SupportsIndex) -> torch.Tensor:
        """
        The value of rank floor(q (n - 1)) of each coordinate, NaN where there is no sample.
        """
    @property
    def count(self) -> torch.Tensor:
        ...
    @property
    def error(self) -> float:
        ...
class Norms(Accumulator):
    """
    Moments, extremes and quantiles of vectors' norms.
    """
    @staticmethod
    def from_state(state: collections.abc.Mapping[str, torch.Tensor]) -> Norms:
        """
        From what `state` gave.
        """
    def __init__(self, cells: typing.SupportsInt | typing.SupportsIndex, kept: typing.SupportsInt | typing.SupportsIndex = 3, error: typing.SupportsFloat | typing.SupportsIndex = 0.01) -> None:
        ...
    def at(self, cells: torch.Tensor) -> Norms:
        """
        A copy of some cells.
        """
    def merge(self, other: Norms) -> None:
        """
        Adds another's samples, cell by cell.
        """
    @property
    def extremes(self) -> Extremes:
        ...
    @property
    def moments(self) -> Moments:
        ...
    @property
    def quantiles(self) -> Quantiles:
        ...
class Histogram(Accumulator):
    """
    Counts of components in bins, all coordinates together.
    """
    @staticmethod
    def from_state(state: collections.abc.Mapping[str, torch.Tensor]) -> Histogram:
        """
        From what `state` gave.
        """
    def __init__(self, cells: typing.SupportsInt | typing.SupportsIndex, edges: torch.Tensor) -> None:
        ...
    def at(self, cells: torch.Tensor) -> Histogram:
        """
        A copy of some cells.
        """
    def merge(self, other: Histogram) -> None:
        """
        Adds another's samples, cell by cell.
        """
    @property
    def counts(self) -> torch.Tensor:
        ...
    @property
    def edges(self) -> torch.Tensor:
        ...
class Edit:
    """
    A change of weights as a value.
    """
    @staticmethod
    def load(path: os.PathLike | str | bytes) -> Edit:
        ...
    def apply(self, model: Model) -> None:
        ...
    def describe(self) -> list:
        ...
    def factors(self) -> dict[str, dict[str, torch.Tensor]]:
        """
        Copies of the factors by writer and name; what writers share is copied once.
        """
    def is_applied(self, model: Model) -> bool:
        ...
    def revert(self, model: Model) -> None:
        ...
    def row(self, index: typing.SupportsInt | typing.SupportsIndex) -> Edit:
        ...
    def save(self, path: os.PathLike | str | bytes) -> None:
        ...
    def take(self, rows: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> Edit:
        ...
    @property
    def bases(self) -> dict[str, str]:
        """
        SHA-256 of the tensors it was made for, by name.
        """
    @property
    def id(self) -> str:
        """
        SHA-256 over writers and factors.
        """
    @property
    def provenance(self) -> str:
        ...
    @property
    def rows(self) -> int:
        """
        Rows with edits of their own; 0: one edit.
        """
def ablate(model: Model, method: str, direction: tuple[torch.Tensor | None, collections.abc.Mapping[typing.SupportsInt | typing.SupportsIndex, torch.Tensor]], read: tuple[torch.Tensor | None, collections.abc.Mapping[typing.SupportsInt | typing.SupportsIndex, torch.Tensor]], against: tuple[torch.Tensor | None, collections.abc.Mapping[typing.SupportsInt | typing.SupportsIndex, torch.Tensor]], against_strength: typing.SupportsFloat | typing.SupportsIndex, rows: bool, writers: collections.abc.Sequence[str], strength: typing.SupportsFloat | typing.SupportsIndex, strengths: collections.abc.Mapping[str, typing.SupportsFloat | typing.SupportsIndex], spared: collections.abc.Mapping[str, str], ridge: typing.SupportsFloat | typing.SupportsIndex, provenance: str) -> Edit:
    """
    Takes directions out of what is written; each is (one tensor or None, {layer: tensor}).
    """
def ablate_tensors(checkpoint: os.PathLike | str | bytes, direction: torch.Tensor, tensors: collections.abc.Sequence[str], strength: typing.SupportsFloat | typing.SupportsIndex, residual_axis: typing.SupportsInt | typing.SupportsIndex, provenance: str) -> Edit:
    """
    Takes a direction out of tensors of a checkpoint, by their names.
    """
def add(model: Model, layers: collections.abc.Mapping[typing.SupportsInt | typing.SupportsIndex, torch.Tensor], rows: bool, strength: typing.SupportsFloat | typing.SupportsIndex, provenance: str) -> Edit:
    """
    Adds vectors to the residual before some layers.
    """
def affine(model: Model, direction: torch.Tensor, read: torch.Tensor | None, target: torch.Tensor, provenance: str) -> Edit:
    """
    Removes directions and puts a target's components in their place.
    """
def all_misreadings() -> list[str]:
    """
    The names of all misreadings of any model.
    """
def before_norm(model: Model, writer: str, directions: torch.Tensor) -> torch.Tensor:
    """
    What a writer must not write so that nothing is added along directions [..., d_model].
    """
def binary_leace(covariance: torch.Tensor, difference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    The same for two classes, in closed form.
    """
def check_in_place(folder: os.PathLike | str | bytes) -> None:
    """
    Refuses a folder with files that are not its checkpoint's own.
    """
def commit_edit(edit: Edit, input: os.PathLike | str | bytes, output: os.PathLike | str | bytes, progress: typing.Any, journal: bool, in_place: bool, card: str, measured: str) -> dict:
    """
    Writes a checkpoint folder with an edit in its weights.
    """
def compose_edits(first: Edit, then: Edit) -> Edit:
    """
    The second edit on what the first made.
    """
def diagonal_lda(variance: torch.Tensor, difference: torch.Tensor) -> torch.Tensor:
    """
    difference / variance.
    """
def difference_of_means(positive_first: Moments, positive_second: Moments, negative_first: Moments, negative_second: Moments) -> dict:
    """
    Difference of two classes' means, each class in two halves; a row a position.
    """
def drawn(logits: torch.Tensor, seeds: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], positions: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> torch.Tensor:
    """
    A token of each row [rows], by the random number of (seed, position).
    """
def edit_methods() -> list[str]:
    ...
def estimate_commit(edit: Edit, input: os.PathLike | str | bytes, output: os.PathLike | str | bytes, journal: bool, in_place: bool) -> dict:
    """
    Checks what committing checks, and says what it would take.
    """
def filtered(logits: torch.Tensor, how: Sampling) -> torch.Tensor:
    """
    Logits over temperature, -inf for what top_k, top_p and min_p leave out.
    """
def inlp(x: torch.Tensor, y: torch.Tensor, k: typing.SupportsInt | typing.SupportsIndex, strength: typing.SupportsFloat | typing.SupportsIndex) -> tuple[torch.Tensor, torch.Tensor]:
    """
    (basis [k, width], accuracy [k]) of iterative null-space projection.
    """
def invert_edit(edit: Edit) -> Edit:
    """
    What takes edited weights back.
    """
def is_deterministic() -> bool:
    """
    Whether this thread is within deterministic().
    """
def label_permutations(n: typing.SupportsInt | typing.SupportsIndex, positives: typing.SupportsInt | typing.SupportsIndex, count: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex) -> torch.Tensor:
    """
    Shuffled labels [count, n], keyed by (seed, row).
    """
def lda(covariance: torch.Tensor, difference: torch.Tensor) -> torch.Tensor:
    """
    covariance⁻¹ difference.
    """
def leace(covariance: torch.Tensor, cross: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    (read, write) [k, width]: x - writeᵀ read (x - mean) forgets the concept.
    """
def ledoit_wolf_share(rows: torch.Tensor) -> float:
    """
    Ledoit and Wolf's share for centred rows.
    """
def logistic_probe(x: torch.Tensor, y: torch.Tensor, strength: typing.SupportsFloat | typing.SupportsIndex) -> tuple[torch.Tensor, float, bool]:
    """
    (weight [width], bias, whether it converged) of a logistic probe.
    """
def low_rank(model: Model, edit: Edit) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """
    What an edit adds to weights, as (out [r, d_model], in [r, inputs]) by writer.
    """
def make_edit(model: Model, factors: collections.abc.Mapping[str, collections.abc.Mapping[str, torch.Tensor]], provenance: str, reasons: collections.abc.Mapping[str, str] = {}) -> Edit:
    """
    An edit from factors by writer and name.
    """
def misreadings(model: Model) -> list[tuple[str, str, str]]:
    """
    Ways in which this model could be misread: (knob, value, name) each.
    """
def oracle_share(covariance: torch.Tensor, n: typing.SupportsInt | typing.SupportsIndex) -> float:
    """
    Share of oracle approximating shrinkage.
    """
def pca(second_moment: torch.Tensor, k: typing.SupportsInt | typing.SupportsIndex, towards: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    (vectors [k, width], values [k]) of a second moment [width, width], the greatest first.
    """
def pca_of_rows(rows: torch.Tensor, k: typing.SupportsInt | typing.SupportsIndex, towards: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    (vectors [k, width], values [k]) of rows [n, width], not centred.
    """
def penalized(logits: torch.Tensor, seen: torch.Tensor, said: torch.Tensor, how: Sampling) -> torch.Tensor:
    """
    Logits [rows, vocab] with penalties; seen: bool, said: counts, both [rows, vocab].
    """
def random_directions(count: typing.SupportsInt | typing.SupportsIndex, width: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex) -> torch.Tensor:
    """
    Unit vectors [count, width] uniform on the sphere, keyed by (seed, row).
    """
def read_statistics(accumulators: collections.abc.Sequence[Accumulator], taps: Taps, name: str, samples: Samples, winsorise: typing.SupportsFloat | typing.SupportsIndex = 1.0) -> None:
    """
    Adds those places of a point to every accumulator during the next run.
    """
def recheck(folder: os.PathLike | str | bytes, base: os.PathLike | str | bytes | None, progress: typing.Any) -> dict:
    """
    Compares a committed folder with its record, and with what that makes of its base.
    """
def reread(model: Model, misreadings: collections.abc.Sequence[str] = [], dtype: str = '') -> Model:
    """
    The same tensors, misread on purpose or computed in another type.
    """
def restrict_edit(edit: Edit, writers: collections.abc.Sequence[str], layers: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], experts: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> Edit:
    """
    The part of an edit that concerns some writers.
    """
def restrict_edit_to_heads(model: Model, edit: Edit, heads: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> Edit:
    """
    What an edit does to the attention's outputs through some heads.
    """
def revert_commit(folder: os.PathLike | str | bytes, output: os.PathLike | str | bytes | None, progress: typing.Any) -> dict:
    """
    Writes what the last commit to a folder was made of, from its journal.
    """
def scale_edit(edit: Edit, scale: typing.SupportsFloat | typing.SupportsIndex) -> Edit:
    """
    W + scale (W' - W).
    """
def shrunk(covariance: torch.Tensor, share: typing.SupportsFloat | typing.SupportsIndex) -> torch.Tensor:
    """
    A covariance drawn to a multiple of the identity.
    """
def solve_covariance(covariance: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """
    covariance⁺ right [width, n].
    """
def som(x: torch.Tensor, rows: typing.SupportsInt | typing.SupportsIndex, columns: typing.SupportsInt | typing.SupportsIndex, steps: typing.SupportsInt | typing.SupportsIndex, rate: typing.SupportsFloat | typing.SupportsIndex, spread: typing.SupportsFloat | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex) -> torch.Tensor:
    """
    Neurons [rows * columns, width] of a map of x.
    """
def stack_edits(edits: collections.abc.Sequence[Edit]) -> Edit:
    """
    Many edits as rows of one.
    """
def sum_edits(first: Edit, second: Edit) -> Edit:
    """
    W + (W' - W) + (W'' - W).
    """
def try_edit(taps: Taps, edit: Edit) -> None:
    """
    Makes runs behave as if the edit were in the weights.
    """
def weights_state(model: Model) -> str:
    """
    A text that changes where an edit is applied or reverted, or a weight written in place.
    """
def winsorised(values: torch.Tensor, share: typing.SupportsFloat | typing.SupportsIndex) -> torch.Tensor:
    """
    Each row clamped to the quantile of its own magnitudes.
    """
