"""Massive activations: channels so large that they drown what a direction is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lenswright.collecting.collection import digest_of
from lenswright.estimators.found import Directions, Found

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics


@dataclass(frozen=True)
class MassiveChannels:
    """Channels found massive: a row each, with point, channel, peak, ratio, digest and place.

    peak is the largest magnitude seen, at the token `place` of the prompt `digest`; ratio is peak
    over the median channel's root mean square.
    """

    rows: list[dict[str, Any]]
    absolute: float
    ratio: float

    def channels(self, point: str) -> list[int]:
        """The massive channels of a point."""
        return sorted(row["channel"] for row in self.rows if row["point"] == point)

    def excluded(self, found: Directions) -> Directions:
        """Directions with zeros in these channels, normalised again."""
        return self._changed(found, "excluded", lambda raw, channels: _zeroed(raw, channels))

    def clipped(self, found: Directions) -> Directions:
        """Directions in which these channels are no larger than the largest of the others."""
        return self._changed(found, "clipped", lambda raw, channels: _clipped(raw, channels))

    def _changed(self, found: Directions, how: str, change: Any) -> Directions:
        made = {}
        for point, one in found.found.items():
            flat = one.raw.flatten(1).clone()
            channels = self.channels(point)
            raw = change(flat, channels) if channels else flat
            norm = raw.norm(dim=1)
            unit = torch.where(norm[:, None] > 0, raw / norm.clamp_min(1e-300)[:, None], 0.0)
            made[point] = Found(
                raw.reshape(one.raw.shape), unit.reshape(one.unit.shape), norm,
                one.standard_error, one.split_cosine, one.separation,
            )  # fmt: skip
        note = {how: {point: self.channels(point) for point in found.points}}
        return Directions(made, found.positions, found.offsets, found.provenance | note)

    def __repr__(self) -> str:
        if not self.rows:
            return f"MassiveChannels(none above {self.absolute:g} and {self.ratio:g} x the median)"
        points = dict.fromkeys(row["point"] for row in self.rows)
        worst = max(self.rows, key=lambda row: row["ratio"])
        return (
            f"MassiveChannels({len(self.rows)} at {len(points)} points; largest: channel "
            f"{worst['channel']} of {worst['point']}, {worst['peak']:.4g}, {worst['ratio']:.4g} x "
            "the median channel)"
        )


def massive_channels(
    stats: Statistics, absolute: float = 100.0, ratio: float = 1000.0
) -> MassiveChannels:
    """The channels with a massive activation, at every point, over all classes and positions.

    A channel is massive where its largest magnitude exceeds `absolute` and `ratio` times the median
    over channels of their root mean square. A few of them carry most of a mean's length in many
    models; ablating them can destroy a model.

    Example:
        >>> stats = model.collect(splits.fit, positions="all",
        ...                       what=("mean", "variance", "extremes"))
        >>> massive = lw.directions.massive_channels(stats)
        >>> found = lw.directions.difference_of_means(stats)
        >>> massive.rows, massive.excluded(found)

    Args:
        stats: with "variance" and "extremes"; positions="all" sees the first token too, where most
            of them are.
        absolute, ratio: see above.

    Raises:
        ValueError: the statistics lack variances or extremes.

    Source: Sun, Chen, Kolter and Liu 2024 (arXiv 2402.17762), section 2, which takes the median of
    magnitudes within one hidden state; here it is that over the samples collected.
    """
    rows = []
    for point in stats.points:
        peak, key, place, square = _peaks(stats, point)
        typical = square.sqrt().median()
        massive = (peak > absolute) & (peak > ratio * typical)
        for channel in massive.nonzero().flatten().tolist():
            rows.append({
                "point": point, "channel": channel, "peak": float(peak[channel]),
                "ratio": float(peak[channel] / typical),
                "digest": digest_of(int(key[channel])), "place": int(place[channel]),
            })  # fmt: skip
    return MassiveChannels(rows, absolute, ratio)


def _peaks(stats: Statistics, point: str) -> tuple[torch.Tensor, ...]:
    """Of each channel: the largest magnitude, whose it is, where, and the mean square."""
    values, keys, places, squares, counts = [], [], [], [], []
    for name in stats.classes:
        for largest in (True, False):
            found = stats.extremes(name, point, largest)
            values.append(found.values[:, 0].flatten(1).abs())
            keys.append(found.keys[:, 0].flatten(1))
            places.append(found.places[:, 0].flatten(1))
        n = stats.n(name).double()[:, None]
        share = ((n - 1) / n).nan_to_num(0.0)
        variance = stats.variance(name, point).flatten(1).nan_to_num(0.0)
        squares.append(n * (stats.mean(name, point).flatten(1).square() + share * variance))
        counts.append(n)
    flat = torch.cat(values).nan_to_num(posinf=0.0)  # no sample: nothing is large there
    best = flat.argmax(0, keepdim=True)
    mean_square = torch.cat(squares).sum(0) / torch.cat(counts).sum()
    picked = (part.gather(0, best)[0] for part in (flat, torch.cat(keys), torch.cat(places)))
    return (*picked, mean_square)


def _zeroed(raw: torch.Tensor, channels: list[int]) -> torch.Tensor:
    raw[:, channels] = 0.0
    return raw


def _clipped(raw: torch.Tensor, channels: list[int]) -> torch.Tensor:
    others = raw.clone()
    others[:, channels] = 0.0
    bound = others.abs().amax(1, keepdim=True)
    raw[:, channels] = raw[:, channels].clamp(-bound, bound)
    return raw
