"""Search: the optimum of the Laplace marginal from several starts, and whether they agree.

One start is moderate, the others are drawn from the priors, field included. A search that ends elsewhere at a probability worth
mentioning is another mode, and no single transport describes such a posterior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.hyper import LOGARITHM, SIGNED
from bayesglm.latent.layout import Field
from bayesglm.latent.marginal import Marginal, Optimum, centre, climb, optimise
from bayesglm.latent.mode import Posterior
from bayesglm.latent.variables import below_diagonal

Array = NDArray[np.float64]
DRAWN_STARTS = 2
APART = 3.0  # posterior sds
WORTH = 7.0  # nats: a mode a thousand times less probable is no mode of the posterior


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the searches found.

    Attributes
    ----------
    best : Optimum
        The most probable one.
    modes : int
        How many different ones.
    """

    best: Optimum
    modes: int


def search(posterior: Posterior, seed: int) -> Found:
    """Climb from a moderate start and from prior draws; the same seed finds the same."""
    rng = np.random.default_rng(seed)
    field = posterior.field
    _, wide, size = field.sizes
    best = optimise(posterior, centre(field))
    modes = 1
    for _ in range(DRAWN_STARTS):
        other = climb(posterior, drawn(field, rng), (np.zeros(size), rng.standard_normal(wide)), rough=True)
        if not np.isfinite(other.value) or _same(field, best, other) or other.value < best.marginal.value - WORTH:
            continue
        polished = optimise(posterior, other.point.t, (other.point.w, other.point.v))
        if _same(field, best, polished.marginal) or polished.marginal.value < best.marginal.value - WORTH:
            continue
        modes += 1
        if polished.marginal.value > best.marginal.value:
            best = polished
    return Found(best, modes)


def drawn(field: Field, rng: np.random.Generator) -> Array:
    """Return hyperparameters about as far from the moderate start as the priors allow."""
    start = centre(field)
    way = field.hyper.way
    noise = rng.standard_normal(len(start))
    return np.where(way == SIGNED, start * np.abs(2.0 * noise), start + np.where(way == LOGARITHM, 1.0, 1.5) * noise)


def _same(field: Field, best: Optimum, other: Marginal) -> bool:
    """Say whether two optima are one, within posterior sds of the hyperparameters and of the core."""
    point = best.marginal.point
    (t, v), (other_t, other_v) = upright(field, point.t, point.v), upright(field, other.point.t, other.point.v)
    near = bool(np.all(np.abs(other_t - t) < APART * np.sqrt(np.diag(best.covariance))))
    precision = point.precision(point.positive_weight)
    if precision is None:
        return near
    sd = np.sqrt(core_variance(precision.lower.core))
    return near and bool(np.all(np.abs(other_v - v) < APART * np.maximum(sd, 1e-3)))


def upright(field: Field, t: Array, v: Array) -> tuple[Array, Array]:
    """Return the same hyperparameters and core with positive scales.

    A partial correlation turns with the signs of its two scales, the coefficients of a curve with the sign of theirs.
    """
    sign = np.where((field.hyper.way == SIGNED) & (t < 0), -1.0, 1.0)
    t, v = t * sign, v.copy()
    for placed in field.placed:
        if placed.partial.size:
            row, column = below_diagonal(len(placed.sd))
            t[placed.partial] *= sign[placed.sd[row]] * sign[placed.sd[column]]
        if placed.core is not None:
            v[placed.core] *= sign[placed.sd]
    return t, v


def core_variance(factor: Array) -> Array:
    """Return the diagonal of (R R')^-1.

    Examples
    --------
    >>> core_variance(np.array([[2.0, 0.0], [0.0, 0.5]])).tolist()
    [0.25, 4.0]
    """
    inverse = np.linalg.inv(factor)
    return np.asarray((inverse**2).sum(axis=0))
