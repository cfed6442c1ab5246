"""One number a prompt for how much a model shows a behaviour, from teacher-forced continuations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch

from lenswright import _core
from lenswright.batches import batches
from lenswright.measuring.forcing import Continuation, Forced, continuation_ids, forced_log_probs
from lenswright.prompting.prompts import Prompt, PromptSet
from lenswright.tapped import new_taps

if TYPE_CHECKING:
    from lenswright.model import Model

NOT_READY = "the score is not prepared: use what prepare(model, prompts) returns"
GENERATE = 64  # rows at a time


class Score(Protocol):
    """What `directions.select` needs of a score: a higher number is more of the behaviour.

    Continuations of a prompt are forced on the model, in as few rows as they need (those of one
    token share the prompt's own row and its last position); `combine` turns their log-probabilities
    into the score.
    """

    def prepare(self, model: Model, prompts: PromptSet) -> Score:
        """A score ready for this model; `prompts` may be run to find out what it says."""
        ...

    def continuations(self, prompt: Prompt) -> list[list[int]]:
        """Token ids, at least one each, whose log-probabilities after the prompt are needed."""
        ...

    def combine(self, prompt: Prompt, log_probs: Sequence[torch.Tensor]) -> torch.Tensor:
        """The scores [runs] from log-probabilities [runs, tokens] of each continuation, float64."""
        ...


class TokenLogOdds:
    """Log-odds between two sets of continuations: log p(any positive) - log p(any negative).

    The probability of a continuation of several tokens is that of the whole of it. Continuations of
    one token cost no row of their own.

    Args:
        positive, negative: texts, as they continue a prompt (mind the space between them), or lists
            of token ids; expected not to begin with one another, so that they exclude one another.

    Raises:
        ValueError: a set is empty.
    """

    def __init__(self, positive: Sequence[Continuation], negative: Sequence[Continuation]) -> None:
        for name, given in (("positive", positive), ("negative", negative)):
            if isinstance(given, str) or not list(given):
                raise ValueError(f"{name} is {given!r}, expected a list of at least one text")
        self._given = list(positive), list(negative)
        self._model: Model | None = None

    def prepare(self, model: Model, prompts: PromptSet) -> TokenLogOdds:
        """The same score for this model.

        Raises:
            ValueError: a text has no tokens, or both sets have the same ones.
        """
        ready = TokenLogOdds(*self._given)
        ready._model = model
        positive, negative = ready._sides(prompts.positive[0])
        both = [ids for ids in positive if ids in negative]
        if both:
            raise ValueError(f"positive and negative share the tokens {both[0]}, expected none")
        return ready

    def _sides(self, prompt: Prompt) -> list[list[list[int]]]:
        if self._model is None:
            raise RuntimeError(NOT_READY)
        return [_unique_ids(self._model, prompt, given) for given in self._given]

    def continuations(self, prompt: Prompt) -> list[list[int]]:
        """Both sets as they are tokenised behind the prompt, the positive one first."""
        positive, negative = self._sides(prompt)
        return positive + negative

    def combine(self, prompt: Prompt, log_probs: Sequence[torch.Tensor]) -> torch.Tensor:
        """The log-odds [runs]."""
        whole = torch.stack([part.sum(-1) for part in log_probs])
        count = len(self._sides(prompt)[0])
        return whole[:count].logsumexp(0) - whole[count:].logsumexp(0)

    def __repr__(self) -> str:
        return f"TokenLogOdds(positive={self._given[0]}, negative={self._given[1]})"


class RefusalScore:
    """How much rather a model refuses than answers, by the words of its own refusals.

    The refusals are the model's own: the `top` most frequent openings (the first `opening` tokens)
    of its greedy answers to the positive prompts, those left out with which it begins the known
    answer. With R the refusals, |c| the tokens of a continuation c and all logarithms natural:

    * where a prompt's answer a is known, score = max_{r in R} log p(r) / |r| - log p(a) / |a|: the
      best refusal against the truth, each in nats a token;
    * where it is not, score = log p - log(1 - p), p = sum of the probabilities of the distinct
      beginnings (`first` tokens) of the refusals; it is at most 34.5, as p is kept 1e-15 below 1.

    Zero is indifference. Positions do not matter where the answer is known: a refusal that only
    begins after some words of its own is still told from the answer.

    Args:
        refusals: texts or token ids to use instead of the model's own.
        top, opening, first: see above.
        max_new_tokens: of the greedy answers, at least `opening`.

    Source: after the first-token score of Arditi et al. 2024 (arXiv 2406.11717), which a refusal
    that does not begin at once escapes.
    """

    def __init__(
        self,
        refusals: Sequence[Continuation] | None = None,
        top: int = 3,
        opening: int = 8,
        first: int = 3,
        max_new_tokens: int = 16,
    ) -> None:
        for name, value in (("top", top), ("opening", opening), ("first", first)):
            if value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        if max_new_tokens < opening:
            raise ValueError(
                f"max_new_tokens is {max_new_tokens}, expected at least opening ({opening})"
            )
        if refusals is not None and (isinstance(refusals, str) or not list(refusals)):
            raise ValueError(f"refusals is {refusals!r}, expected a list of at least one text")
        self.top, self.opening, self.first = top, opening, first
        self.max_new_tokens = max_new_tokens
        self._given = refusals
        self._own: list[list[int]] = []
        self._model: Model | None = None

    def prepare(self, model: Model, prompts: PromptSet) -> RefusalScore:
        """The score with this model's refusals.

        Raises:
            ValueError: it answers every positive prompt truly, so there is no refusal to find.
        """
        ready = RefusalScore(self._given, self.top, self.opening, self.first, self.max_new_tokens)
        ready._model = model
        if self._given is None:
            ready._own = ready._own_refusals(model, prompts.positive)
        return ready

    def _own_refusals(self, model: Model, prompts: Sequence[Prompt]) -> list[list[int]]:
        counts: Counter[tuple[int, ...]] = Counter()
        rows = model.prompt_tokens([prompt.text for prompt in prompts])
        for part in batches(len(rows), GENERATE):
            said = model.generate(rows[part], self.max_new_tokens, return_type="tokens")
            for prompt, ids in zip(prompts[part], said, strict=True):
                if not _answered(model, prompt, ids):
                    counts[tuple(ids[: self.opening])] += 1
        if not counts:
            raise ValueError(
                "the model answers every positive prompt truly, so it has no refusal of its own; "
                "give refusal=[...] or score=lw.directions.TokenLogOdds(...)"
            )
        return [list(opening) for opening, _ in counts.most_common(self.top)]

    @property
    def _ready(self) -> Model:
        if self._model is None:
            raise RuntimeError(NOT_READY)
        return self._model

    @property
    def own(self) -> list[list[int]]:
        """The model's own refusals as it said them, token ids; none where others were given."""
        return [list(ids) for ids in self._own]

    @property
    def refusals(self) -> list[str]:
        """The refusals' texts.

        Raises:
            RuntimeError: the score is not prepared.
        """
        given = self._own if self._given is None else self._given
        return [one if isinstance(one, str) else str(self._ready.to_string(one)) for one in given]

    def continuations(self, prompt: Prompt) -> list[list[int]]:
        """The refusals and the answer, or the refusals' distinct beginnings."""
        model, refusals = self._ready, self._own
        if self._given is not None:
            refusals = _unique_ids(model, prompt, self._given)
        if prompt.answer is not None:
            return [*refusals, continuation_ids(model, prompt, prompt.answer)]
        starts = {tuple(ids[: self.first]) for ids in refusals}
        # None that continues another: their probabilities are added.
        return [list(s) for s in sorted(starts) if not any(s[: len(o)] == o for o in starts - {s})]

    def combine(self, prompt: Prompt, log_probs: Sequence[torch.Tensor]) -> torch.Tensor:
        """The scores [runs]."""
        if prompt.answer is None:
            whole = torch.stack([part.sum(-1) for part in log_probs])
            log_p = whole.logsumexp(0).clamp_max(-1e-15)
            return log_p - torch.log(-torch.expm1(log_p))
        mean = torch.stack([part.mean(-1) for part in log_probs])
        return mean[:-1].max(0).values - mean[-1]

    def __repr__(self) -> str:
        return f"RefusalScore({self.refusals if self._model or self._given else 'of its own'})"


def _answered(model: Model, prompt: Prompt, ids: list[int]) -> bool:
    if prompt.answer is None:
        return False
    said = model.tokenizer.decode(ids, skip_special_tokens=True).split()
    known = prompt.answer.split()
    return said[: len(known)] == known[: len(said)]


def _unique_ids(model: Model, prompt: Prompt, given: Sequence[Continuation]) -> list[list[int]]:
    found = [tuple(continuation_ids(model, prompt, one)) for one in given]
    return [list(ids) for ids in dict.fromkeys(found)]


def score_prompts(
    model: Model,
    score: Score,
    prompts: Sequence[Prompt],
    batch_size: int = 64,
    deterministic: bool = False,
) -> list[float]:
    """The score of each prompt, under the edits and hooks that are active on the model.

    Args:
        score: a prepared one.
        prompts: in any number.
        batch_size: rows a run.
        deterministic: the same bytes for any batch size.
    """
    plan = Forced.of(model, prompts, score.continuations)
    with torch.no_grad(), _core.deterministic(deterministic):
        found = forced_log_probs(
            model, plan, 1, lambda rows, _, prompts: new_taps(model, rows, prompts), batch_size
        )
    return [
        float(score.combine(prompt, parts)) for prompt, parts in zip(prompts, found, strict=True)
    ]
