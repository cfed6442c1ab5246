"""Pictures of what a run shows, drawn as SVG from plain numbers; nothing is fetched and nothing
else is installed.

Every function takes lists, arrays or tensors (anything with `.tolist()`) and returns a `Figure`: a
notebook shows it, `.svg` is its text, `.save("picture.svg")` writes it. Light and dark follow the
reader's system.
"""

from __future__ import annotations

from lenswright.plots.attention import attention
from lenswright.plots.chain import chain
from lenswright.plots.effects import effects
from lenswright.plots.figure import Figure
from lenswright.plots.heat import heatmap, heatmaps
from lenswright.plots.heat_scale import Panel
from lenswright.plots.lines import lines
from lenswright.plots.strip import strip
from lenswright.plots.tokens import logit_lens, tokens

__all__ = [
    "Figure",
    "Panel",
    "attention",
    "chain",
    "effects",
    "heatmap",
    "heatmaps",
    "lines",
    "logit_lens",
    "strip",
    "tokens",
]
