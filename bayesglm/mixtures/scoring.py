"""Scoring: the predictive density of rows, and how much of it is less dense.

    p(x) = sum_k w_k p_k(x),     tail probability(x) = P(p(X) <= p(x)) for X from the predictive mixture

A responsibility says which component a row would belong to, however far it is from all of them; the tail probability says
how unusual it is. Both integrate the parameters out: Student-t, negative binomial and their like, with mean weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from bayesglm.mixtures.ascent import Posterior
from bayesglm.mixtures.columns import Part
from bayesglm.mixtures.component import Array

_ROWS = 8192


def log_predictive(parts: Sequence[Part], posterior: Posterior, weights: Array, numbers: Sequence[Array]) -> Array:
    """Return log w_k p_k(x), shape (row, component), in the numbers that the components see."""
    rows = len(numbers[0])
    found = np.tile(np.log(weights), (rows, 1))
    for start in range(0, rows, _ROWS):
        place = slice(start, start + _ROWS)
        for part, params, each in zip(parts, posterior.params, numbers, strict=True):
            found[place] += part.component.predictive(params, each[place])
    return found


def log_density(parts: Sequence[Part], posterior: Posterior, weights: Array, numbers: Sequence[Array]) -> Array:
    """Return log p(x), shape (row,), in the numbers that the components see."""
    return np.asarray(logsumexp(log_predictive(parts, posterior, weights, numbers), axis=1))


def simulate(parts: Sequence[Part], posterior: Posterior, weights: Array, size: int, seed: int) -> list[Array]:
    """Return rows drawn from the predictive mixture, as the numbers of each part."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(weights), size, p=weights)
    plain = np.ones((1, 1))
    return [part.component.simulate(params, labels, plain, rng) for part, params in zip(parts, posterior.params, strict=True)]


def tail_probability(density: Array, simulated: Array) -> Array:
    """Return the share of simulated densities at or below each density, never 0: (1 + how many) / (1 + simulated).

    Examples
    --------
    >>> tail_probability(np.array([-9.0, 0.5]), np.array([-1.0, 0.0, 1.0])).tolist()
    [0.25, 0.75]
    """
    below = np.searchsorted(np.sort(simulated), density, side="right")
    return np.asarray((1 + below) / (1 + len(simulated)))
