"""Hyper: the hyperparameters theta on the real line, with their log prior, its gradient and the way back.

Three ways to the real line:

    signed     theta = unit t, reported as |theta|: a scale whose prior density at 0 is positive crosses 0 smoothly; p is halved
    logarithm  theta = exp(t): a positive parameter whose prior vanishes at 0
    interval   theta = lower + (upper - lower) / (1 + exp(-t))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.kernel import kernel
from bayesglm.latent.record import record
from bayesglm.priors import Prior

Array = NDArray[np.float64]
SIGNED, LOGARITHM, INTERVAL = 0, 1, 2
ABSOLUTE = 4  # place of |d| in `bayesglm.log_density.LogDensity`


@record
class Hyper(NamedTuple):
    """The hyperparameters as arrays, one row each.

    Attributes
    ----------
    way : int array, shape (theta,)
        How each gets to the real line.
    unit : array, shape (theta,)
        What a signed scale is measured in, so that searches do not depend on the units of the data; 1 elsewhere.
    lower, upper : array, shape (theta,)
        Ends of the interval; 0 and 1 elsewhere.
    density : array, shape (theta, 9)
        `bayesglm.log_density.LogDensity` of each.
    held : array, shape (theta,)
        1 for the scales of single coefficients and what they share: a mode says nothing of them, and searches hold them at their
        prior medians; 0 elsewhere.
    """

    way: NDArray[np.int64]
    unit: Array
    lower: Array
    upper: Array
    density: Array
    held: Array

    @property
    def size(self) -> int:
        """Number of hyperparameters."""
        return len(self.way)


def hyper_of(
    priors: Sequence[tuple[Prior, bool]], held: Sequence[bool] | None = None, units: Sequence[float] | None = None,
) -> Hyper:
    """Return the arrays for priors, each with whether it belongs to a scale that may cross 0, which are held, and their units.

    Examples
    --------
    >>> from bayesglm.priors import Exponential, HalfNormal, Uniform
    >>> hyper_of([(HalfNormal(1), True), (Exponential(1), False), (Uniform(-1, 1), False)]).way.tolist()
    [0, 1, 2]
    """
    ways = [_way(prior, scale=scale) for prior, scale in priors]
    ends = [(getattr(prior, "lower", 0.0), getattr(prior, "upper", 1.0)) for prior, _ in priors]
    way = np.array(ways, np.int64)
    unit = np.where(way == SIGNED, 1.0 if units is None else np.array(units, np.float64), 1.0)
    density = []
    for (prior, _), own, each in zip(priors, ways, unit, strict=True):
        terms = prior.log_density()
        density.append(terms._replace(constant=terms.constant + np.log(each / 2.0)) if own == SIGNED else terms)
    lower, upper = np.array(ends, np.float64).reshape(-1, 2).T.copy()
    return Hyper(way, unit, lower, upper, np.array(density, np.float64).reshape(-1, 9),
                 np.array([False] * len(priors) if held is None else held, np.float64))


def middle(hyper: Hyper) -> tuple[Array, Array]:
    """Return the prior median of each hyperparameter on the real line, and half the width of the central 68%.

    Examples
    --------
    >>> from bayesglm.priors import HalfCauchy
    >>> median, width = middle(hyper_of([(HalfCauchy(2), False)]))
    >>> round(float(np.exp(median[0])), 3), round(float(width[0]), 1)
    (2.0, 1.4)
    """
    grid = np.linspace(-40.0, 40.0, 2001)
    slopes = np.array([evaluate(np.full(hyper.size, x), hyper)[3] for x in grid]).reshape(len(grid), hyper.size)
    heights = np.concatenate([np.zeros((1, hyper.size)), np.cumsum((slopes[1:] + slopes[:-1]) / 2 * (grid[1] - grid[0]), axis=0)])
    mass = np.exp(heights - heights.max(axis=0, initial=-np.inf))
    below = np.cumsum(mass, axis=0) - mass / 2
    shares = [np.array([np.interp(share, each / each[-1], grid) for each in below.T]) for share in (0.16, 0.5, 0.84)]
    return shares[1], (shares[2] - shares[0]) / 2


def _way(prior: Prior, *, scale: bool) -> int:
    if prior.support != "positive":
        return INTERVAL
    return SIGNED if scale and prior.log_density().log == 0.0 else LOGARITHM


@kernel
def log_density(x: float, terms: Array) -> tuple[float, float]:
    """Return the log density of a prior at x and its slope; see `bayesglm.log_density.LogDensity`."""
    constant, location, linear, quadratic, absolute, log, complement, tail, tail_scale = terms
    d = x - location
    value = constant + linear * x + quadratic * d * d
    slope = linear + 2.0 * quadratic * d
    if absolute != 0.0:
        value += absolute * abs(d)
        slope += absolute * np.sign(d)
    if log != 0.0:
        value += log * np.log(x)
        slope += log / x
    if complement != 0.0:
        value += complement * np.log1p(-x)
        slope -= complement / (1.0 - x)
    if tail != 0.0:
        value += tail * np.log1p((d / tail_scale) ** 2)
        slope += tail * 2.0 * d / (tail_scale * tail_scale + d * d)
    return value, slope


def bends(x: Array, terms: Array) -> Array:
    """Return the second derivative at x, shape (n,), of log densities on the whole line, away from a kink.

    Parameters
    ----------
    x : array, shape (n,)
        Where.
    terms : array, shape (n, 9)
        A `bayesglm.log_density.LogDensity` in each row.

    Examples
    --------
    >>> from bayesglm.priors import Normal
    >>> bends(np.array([0.3]), np.array([Normal(0, 2).log_density()])).tolist()
    [-0.25]
    """
    _, location, _, quadratic, _, _, _, tail, tail_scale = terms.T
    d, scale = (x - location) ** 2, tail_scale**2
    return np.asarray(2.0 * quadratic + 2.0 * tail * (scale - d) / (scale + d) ** 2)


@kernel
def evaluate(t: Array, hyper: Hyper) -> tuple[Array, Array, float, Array]:
    """Return theta, d theta / dt, the log prior of t (Jacobians included) and its gradient."""
    size = len(t)
    theta, speed, gradient = np.empty(size), np.empty(size), np.empty(size)
    total = 0.0
    for k in range(size):
        if hyper.way[k] == SIGNED:
            theta[k], speed[k] = hyper.unit[k] * t[k], hyper.unit[k]
            value, slope = log_density(abs(theta[k]), hyper.density[k])
            gradient[k] = slope * speed[k] if t[k] >= 0.0 else -slope * speed[k]
        elif hyper.way[k] == LOGARITHM:
            theta[k] = np.exp(t[k])
            value, slope = log_density(theta[k], hyper.density[k])
            speed[k] = theta[k]
            value += t[k]
            gradient[k] = slope * theta[k] + 1.0
        else:
            theta[k], speed[k], value, gradient[k] = _interval(t[k], hyper.lower[k], hyper.upper[k], hyper.density[k])
        total += value
    return theta, speed, total, gradient


@kernel
def _interval(t: float, lower: float, upper: float, terms: Array) -> tuple[float, float, float, float]:
    """Return theta on an interval, d theta / dt, the log prior of t and its slope.

    Beta densities stand on (0, 1), where theta is the share; log share and log other are exact in the tails.
    """
    small = np.exp(-abs(t))
    share = 1.0 / (1.0 + small) if t >= 0.0 else small / (1.0 + small)
    other = small / (1.0 + small) if t >= 0.0 else 1.0 / (1.0 + small)
    width = upper - lower
    constant, log, complement = terms[0], terms[5], terms[6]
    value = constant + log * np.log(share) + complement * np.log(other) + np.log(width) + np.log(share) + np.log(other)
    return lower + width * share, width * share * other, value, log * other - complement * share + other - share


@kernel
def thetas(t: Array, hyper: Hyper) -> Array:
    """Return theta at many t, shape (draw, theta)."""
    out = np.empty(t.shape)
    for s in range(len(t)):
        out[s] = evaluate(t[s], hyper)[0]
    return out
