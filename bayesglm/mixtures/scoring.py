"""Scoring: the predictive density of rows, and how much of it is less dense.

    p(x) = sum_k w_k p_k(x),     tail probability(x) = P(p(X) <= p(x)) for X from the predictive mixture

A responsibility says which component a row would belong to, however far it is from all of them; the tail probability says
how unusual it is. Both integrate the parameters out: Student-t, negative binomial and their like, with mean weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bayesglm.mixtures.ascent import Posterior
from bayesglm.mixtures.columns import Part
from bayesglm.mixtures.component import Array
from bayesglm.mixtures.scorer import log_sum

_ROWS = 131_072  # at most at once, to bound memory
_NEAR = 0.1


def log_predictive(parts: Sequence[Part], posterior: Posterior, weights: Array, numbers: Sequence[Array]) -> Array:
    """Return log w_k p_k(x), shape (row, component), in the numbers that the components see."""
    found = np.tile(np.log(weights), (len(numbers[0]), 1))
    for part, params, each in zip(parts, posterior.params, numbers, strict=True):
        found += part.component.predictive(params, each)
    return found


def log_density(parts: Sequence[Part], posterior: Posterior, weights: Array, numbers: Sequence[Array]) -> Array:
    """Return log p(x), shape (row,), in the numbers that the components see."""
    found = np.empty(len(numbers[0]))
    for start in range(0, len(found), _ROWS):
        place = slice(start, start + _ROWS)
        found[place] = log_sum(log_predictive(parts, posterior, weights, [each[place] for each in numbers]))
    return found


def simulate(parts: Sequence[Part], posterior: Posterior, weights: Array, size: int, seed: int,
             exposures: Sequence[Array] | None = None) -> list[Array]:
    """Return rows drawn from the predictive mixture, as the numbers of each part.

    Parameters
    ----------
    parts, posterior, weights
        The mixture.
    size : int
        How many rows.
    seed : int
        For the draws.
    exposures : sequence of array, optional
        Of each part, shape (row or 1, column), in units of the mean exposure; 1 by default.
    """
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(weights), size, p=weights)
    given = [np.ones((1, 1))] * len(parts) if exposures is None else exposures
    return [part.component.simulate(params, labels, exposure, rng)
            for part, params, exposure in zip(parts, posterior.params, given, strict=True)]


def tail_probabilities(parts: Sequence[Part], posterior: Posterior, weights: Array, numbers: Sequence[Array], size: int,
                       seed: int) -> Array:
    """Return how much of the predictive mixture is at most as dense as each row, shape (row,).

    A row is compared with simulated rows of its own exposure, over the values that it has; exposures that are nearly equal
    are taken as one.
    """
    found = np.empty(len(numbers[0]))
    numbers = [_nearly_equal(each) if part.component.exposed else each for part, each in zip(parts, numbers, strict=True)]
    exposures = [exposure_of(part, each) for part, each in zip(parts, numbers, strict=True)]
    for alike in _groups(np.hstack(exposures)):
        simulated = simulate(parts, posterior, weights, size, seed, [each[alike[:1]] for each in exposures])
        for rows in _groups(np.hstack([np.isnan(each[alike]) for each in numbers])):
            held = [each[alike[rows]] for each in numbers]
            masked = [np.where(np.isnan(each[:1]), np.nan, drawn) for each, drawn in zip(held, simulated, strict=True)]
            found[alike[rows]] = tail_probability(log_density(parts, posterior, weights, held),
                                                  log_density(parts, posterior, weights, masked))
    return found


def exposure_of(part: Part, numbers: Array) -> Array:
    """Return the exposures among what a part sees, shape (row, column); 1 where it takes none."""
    return numbers[:, numbers.shape[1] // 2:] if part.component.exposed else np.ones((len(numbers), 1))


def _nearly_equal(numbers: Array) -> Array:
    """Return counts and exposures, exposures between which a count moves by less than _NEAR sds as their mean.

    A Poisson count has about unit sd on the scale 2 sqrt(count), on which expected counts are cut into steps.
    """
    size = numbers.shape[1] // 2
    found = numbers.copy()
    for j in range(size):
        counts, exposure = numbers[:, j], numbers[:, size + j]
        held = ~np.isnan(counts)
        rate = counts[held].sum() / max(exposure[held].sum(), np.finfo(np.float64).tiny)
        _, step = np.unique(np.floor(2 * np.sqrt(rate * exposure) / _NEAR), return_inverse=True)
        mean = np.bincount(step, exposure) / np.bincount(step)
        alike = np.bincount(step, exposure != exposure[0])[step] == 0
        found[:, size + j] = np.where(alike, exposure[0], mean[step])
    return found


def _groups(values: Array) -> Iterator[NDArray[np.intp]]:
    """Yield the rows with equal values."""
    if len(values) == 0 or (values == values[:1]).all():
        yield np.arange(len(values))
        return
    order = np.lexsort(values.T)
    yield from np.split(order, np.flatnonzero((values[order[1:]] != values[order[:-1]]).any(axis=1)) + 1)


def tail_probability(density: Array, simulated: Array) -> Array:
    """Return the share of simulated densities at or below each density, never 0: (1 + how many) / (1 + simulated).

    Examples
    --------
    >>> tail_probability(np.array([-9.0, 0.5]), np.array([-1.0, 0.0, 1.0])).tolist()
    [0.25, 0.75]
    """
    below = np.searchsorted(np.sort(simulated), density, side="right")
    return np.asarray((1 + below) / (1 + len(simulated)))
