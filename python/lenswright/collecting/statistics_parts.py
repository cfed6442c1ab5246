"""What statistics answer beyond means: covariances, norms, extremes, quantiles, bins, samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lenswright.collecting.accumulators import Parts
from lenswright.collecting.collection import HALVES, digest_of
from lenswright.collecting.positions import position_index
from lenswright.nearest import did_you_mean
from lenswright.prompting.prompts import PromptSet

# kind -> what to ask `collect` for
ASKED = {
    "covariance": "covariance", "norms": "norms", "extremes": "extremes",
    "quantiles": "quantiles", "histogram": "histogram", "kept": "samples",
}  # fmt: skip


@dataclass(frozen=True)
class Extreme:
    """The largest or smallest values of every coordinate, the most extreme first.

    values [positions, kept, ...] float64; keys and places alike, int64: the prompt (its digest as a
    number) and the token each comes from; place -1 where there were fewer samples.
    """

    values: torch.Tensor
    keys: torch.Tensor
    places: torch.Tensor


class StatisticsParts:
    """The questions that need more than count, mean and variance."""

    parts: Parts
    shapes: dict[str, tuple[int, ...]]
    classes: tuple[str, ...]
    points: tuple[str, ...]
    positions: tuple[str, ...]
    offsets: tuple[int | None, ...]
    provenance: dict[str, Any]

    def _known(self, point: str) -> str:
        if point not in self.points:
            hint = did_you_mean(point, self.points)
            raise KeyError(f"point is {point!r}, expected one of those collected{hint}")
        return point

    def _shaped(self, values: torch.Tensor, point: str) -> torch.Tensor:
        return values.reshape(len(self.positions), *self.shapes[point])

    def _halves(self, kind: str, name: str, point: str) -> list[Any]:
        if name not in self.classes:
            raise KeyError(f"class is {name!r}, expected one of {list(self.classes)}")
        self._known(point)
        if kind not in self.parts:
            raise ValueError(
                f"what: these statistics keep {list(self.parts)}, expected '{ASKED[kind]}' among "
                "them; collect with it"
            )
        part, count = self.parts[kind][point], len(self.positions)
        first = self.classes.index(name) * HALVES * count
        starts = (first + half * count for half in range(HALVES))
        return [part.at(torch.arange(start, start + count)) for start in starts]

    def _both(self, kind: str, name: str, point: str) -> Any:
        first, second = self._halves(kind, name, point)
        first.merge(second)
        return first

    def covariance(self, name: str, point: str) -> torch.Tensor:
        """Covariance of a class, n - 1 in the denominator [positions, d, d] float64.

        What stands at a point is taken as one vector of d components.

        Raises:
            ValueError: collected without "covariance".
        """
        return self._both("covariance", name, point).covariance()

    def second_moment(self, name: str, point: str) -> torch.Tensor:
        """Mean outer product of a class, not centred: E[x xᵀ] [positions, d, d] float64."""
        kept = self._both("covariance", name, point)
        n, mean = kept.count[:, None, None], kept.mean
        return kept.comoment / n + mean[:, :, None] * mean[:, None, :]

    def norms(self, name: str, point: str) -> dict[str, torch.Tensor]:
        """Of the vectors' Euclidean norms: mean, variance, smallest, largest [positions] float64.

        Raises:
            ValueError: collected without "norms".
        """
        kept = self._both("norms", name, point)
        values = kept.extremes.values[..., 0]
        return {
            "mean": kept.moments.mean[:, 0], "variance": kept.moments.variance()[:, 0],
            "smallest": values[:, 1, 0], "largest": values[:, 0, 0],
        }  # fmt: skip

    def norm_quantile(self, name: str, point: str, q: float) -> torch.Tensor:
        """A quantile of the norms [positions] float64; see `quantile` for its error."""
        return self._both("norms", name, point).quantiles.quantile(q)[:, 0]

    def quantile(self, name: str, point: str, q: float) -> torch.Tensor:
        """A quantile of each coordinate [positions, ...] float64.

        The value of rank floor(q (n - 1)) from the smallest, right to the share of its size that
        `collect` was told as `error` (0.01), and to 1e-9 where it is smaller than that.

        Args:
            q: 0 to 1; 0.5 is the median.

        Raises:
            ValueError: collected without "quantiles"; q out of range.
        """
        return self._shaped(self._both("quantiles", name, point).quantile(q), point)

    def extremes(self, name: str, point: str, largest: bool = True) -> Extreme:
        """The largest or smallest values of each coordinate, and where they come from.

        Raises:
            ValueError: collected without "extremes".
        """
        kept, side = self._both("extremes", name, point), 0 if largest else 1
        shape = (len(self.positions), -1, *self.shapes[point])
        return Extreme(
            *(part[:, side].reshape(shape) for part in (kept.values, kept.prompts, kept.places))
        )

    def examples(
        self,
        name: str,
        point: str,
        coordinate: int,
        position: str | int | None = None,
        largest: bool = True,
        prompts: PromptSet | None = None,
    ) -> list[dict[str, Any]]:
        """Where one coordinate is most extreme: value, digest of the prompt, place of the token.

        Args:
            coordinate: of the vector, counted through all its dimensions.
            position: label or offset; not needed where there is one.
            prompts: those collected from; with them each row has the prompt's text too.
        """
        found = self.extremes(name, point, largest)
        index = self._index(position)
        texts: Mapping[str, str] = {p.digest: p.text for p in prompts or ()}
        rows = []
        columns = (part[index].flatten(1)[:, coordinate].tolist() for part in vars(found).values())
        for value, key, place in zip(*columns, strict=True):
            if place < 0:
                continue
            row: dict[str, Any] = {"value": value, "digest": digest_of(key), "place": place}
            rows.append(row | ({"text": texts[row["digest"]]} if prompts is not None else {}))
        return rows

    def histogram(self, name: str, point: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Counts of components in bins, and the bins' edges.

        Returns:
            counts [positions, bins + 2] int64: below the first edge, the bins, above the last; and
            edges [bins + 1] float64.

        Raises:
            ValueError: collected without "histogram".
        """
        kept = self._both("histogram", name, point)
        return kept.counts, kept.edges

    def samples(self, name: str, point: str, position: str | int | None = None) -> torch.Tensor:
        """The vectors of a class at a position [n, d] float64, sorted by prompt.

        Args:
            position: label or offset; not needed where there is one.

        Raises:
            ValueError: collected without "samples"; several positions and none named.
            KeyError: no such position.
        """
        kept = self._both("kept", name, point)
        return kept.values[kept.cells == self._index(position)]

    def sample_keys(self, name: str, point: str, position: str | int | None = None) -> list[str]:
        """The digest of the prompt behind each row of `samples`."""
        kept = self._both("kept", name, point)
        chosen = kept.prompts[kept.cells == self._index(position)]
        return [digest_of(key) for key in chosen.tolist()]

    def _index(self, position: str | int | None) -> int:
        if position is not None:
            return position_index(position, self.positions, self.offsets)
        if len(self.positions) > 1:
            raise ValueError(f"position is None, expected one of {list(self.positions)}")
        return 0
