"""Prompts, and the activations that collecting them should see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

import wordy
from lenswright.prompting.prompts import Prompt, PromptSet
from plain import Plain

POINT = "blocks.1.hook_resid_pre"
EVERY = ("mean", "variance", "covariance", "norms", "extremes", "quantiles", "histogram", "samples")


def prompts() -> PromptSet:
    """Twelve and ten prompts of random words."""
    texts = wordy.sentences(22, seed=3)
    return PromptSet("fit", [Prompt(t) for t in texts[:12]], [Prompt(t) for t in texts[12:]])


def activations(folder: Path, prompts: Any, point: str = POINT) -> list[np.ndarray]:
    """[tokens, d] of every prompt, run by itself through an independent forward in float64."""
    model = Plain(folder)
    return [
        model.forward(torch.tensor([wordy.chat_ids(p.text)]))[point][0].detach().flatten(1).numpy()
        for p in prompts
    ]
