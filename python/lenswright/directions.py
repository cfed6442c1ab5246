"""Contrast directions: how two classes of prompts differ inside a model, and how surely.

Which estimator to use when: docs/directions.md. All work in float64 and give `Directions`.
"""

from __future__ import annotations

from lenswright.estimators.channels import MassiveChannels, massive_channels
from lenswright.estimators.cones import independence, orthonormal
from lenswright.estimators.difference_of_means import difference_of_means
from lenswright.estimators.found import Directions, Erasure, Found
from lenswright.estimators.geometry import Geometry, geometry
from lenswright.estimators.heads import heads, neurons
from lenswright.estimators.inlp import inlp
from lenswright.estimators.lda import lda
from lenswright.estimators.leace import binary_leace, erasure_of, leace
from lenswright.estimators.logistic import logistic
from lenswright.estimators.mass_mean import mass_mean
from lenswright.estimators.null import PermutationNull, null
from lenswright.estimators.paired import paired
from lenswright.estimators.pca import pca
from lenswright.estimators.projected import biprojected, projected
from lenswright.estimators.refined import refined
from lenswright.estimators.som import som
from lenswright.estimators.subspace import subspace
from lenswright.selecting.choice import Choice
from lenswright.selecting.scores import RefusalScore, Score, TokenLogOdds, score_prompts
from lenswright.selecting.selection import select

__all__ = [
    "Choice",
    "Directions",
    "Erasure",
    "Found",
    "Geometry",
    "MassiveChannels",
    "PermutationNull",
    "RefusalScore",
    "Score",
    "TokenLogOdds",
    "binary_leace",
    "biprojected",
    "difference_of_means",
    "erasure_of",
    "geometry",
    "heads",
    "independence",
    "inlp",
    "lda",
    "leace",
    "logistic",
    "mass_mean",
    "massive_channels",
    "neurons",
    "null",
    "orthonormal",
    "paired",
    "pca",
    "projected",
    "refined",
    "score_prompts",
    "select",
    "som",
    "subspace",
]
