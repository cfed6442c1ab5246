"""Directions as layers see them: one for each, or one between two of them."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod

import torch


def layer_of(point: str) -> int | None:
    """The block a point lies in, None outside blocks."""
    match = re.match(r"blocks\.(\d+)\.", point)
    return None if match is None else int(match.group(1))


def site_of(point: str) -> str:
    """What a point is called within its block: "hook_resid_pre", "attn.hook_z"."""
    return re.sub(r"^blocks\.\d+\.", "", point)


class BetweenLayers(ABC):
    """What directions at several layers of one site give."""

    points: tuple[str, ...]

    @abstractmethod
    def vector(self, point: str, position: str | int) -> torch.Tensor:
        """The unit direction of a point at a position."""

    def _layers(self, site: str | None) -> dict[int, str]:
        sites = {site_of(point) for point in self.points if layer_of(point) is not None}
        if site is None and len(sites) == 1:
            site = next(iter(sites))
        if site is not None and site not in sites and f"hook_{site}" in sites:
            site = f"hook_{site}"
        if site is None or site not in sites:
            raise ValueError(f"site is {site!r}, expected one of {sorted(sites)}")
        return {
            layer: point
            for point in self.points
            if site_of(point) == site and (layer := layer_of(point)) is not None
        }

    def per_layer(self, position: str | int, site: str | None = None) -> dict[int, torch.Tensor]:
        """The unit direction of every layer at a position {layer: [...]}, as an edit takes them.

        Args:
            site: which of several, e.g. "resid_pre"; not needed where there is one.

        Raises:
            ValueError: no such site, or several and none named.
        """
        return {layer: self.vector(p, position) for layer, p in self._layers(site).items()}

    def interpolated(
        self, layer: float, position: str | int, site: str | None = None
    ) -> torch.Tensor:
        """The unit direction between two layers: their unit directions mixed, then normalised.

        Args:
            layer: 12.25 is three parts of layer 12 and one of layer 13.
            site: see `per_layer`.

        Raises:
            IndexError: a layer that was not collected is needed.
            ValueError: the two are opposite, or the classes do not differ there.
        """
        units = self.per_layer(position, site)
        low = math.floor(layer)
        share = layer - low
        for needed in (low, low + 1) if share else (low,):
            if needed not in units:
                raise IndexError(
                    f"layer is {layer}, which needs layer {needed}, expected among those "
                    f"collected: {sorted(units)}"
                )
        if not share:
            return units[low]
        mixed = torch.lerp(units[low], units[low + 1], share)
        if not mixed.norm() > 1e-6:
            raise ValueError(f"layer is {layer}, but the directions there cancel or are zero")
        return mixed / mixed.norm()
