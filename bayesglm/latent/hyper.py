"""Hyper: the hyperparameters theta on the real line, with their log prior, its gradient and the way back.

Three ways to the real line:

    signed     theta = t, reported as |t|: a scale whose prior density at 0 is positive crosses 0 smoothly; p(t) = p(|t|) / 2
    logarithm  theta = exp(t): a positive parameter whose prior vanishes at 0
    interval   theta = lower + (upper - lower) / (1 + exp(-t))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesglm.priors import Prior

Array = NDArray[np.float64]
SIGNED, LOGARITHM, INTERVAL = 0, 1, 2


class Hyper(NamedTuple):
    """The hyperparameters as arrays, one row each.

    Attributes
    ----------
    way : int array, shape (theta,)
        How each gets to the real line.
    lower, upper : array, shape (theta,)
        Ends of the interval; 0 and 1 elsewhere.
    density : array, shape (theta, 9)
        `bayesglm.priors.LogDensity` of each.
    """

    way: NDArray[np.int64]
    lower: Array
    upper: Array
    density: Array

    @property
    def size(self) -> int:
        """Number of hyperparameters."""
        return len(self.way)


def hyper_of(priors: Sequence[tuple[Prior, bool]]) -> Hyper:
    """Return the arrays for priors, each with whether it belongs to a scale that may cross 0.

    Examples
    --------
    >>> from bayesglm.priors import Exponential, HalfNormal, Uniform
    >>> hyper_of([(HalfNormal(1), True), (Exponential(1), False), (Uniform(-1, 1), False)]).way.tolist()
    [0, 1, 2]
    """
    ways, lower, upper, density = [], [], [], []
    for prior, scale in priors:
        terms = prior.log_density()
        low, high = (getattr(prior, "lower", 0.0), getattr(prior, "upper", 1.0)) if prior.support != "positive" else (0.0, 1.0)
        way = INTERVAL if prior.support != "positive" else SIGNED if scale and terms.log == 0.0 else LOGARITHM
        ways.append(way)
        lower.append(low)
        upper.append(high)
        density.append(terms._replace(constant=terms.constant - np.log(2.0)) if way == SIGNED else terms)
    return Hyper(np.array(ways, np.int64), np.array(lower, np.float64), np.array(upper, np.float64),
                 np.array(density, np.float64).reshape(-1, 9))


@njit(cache=True, nogil=True)
def log_density(x, terms):
    """Return the log density of a prior at x and its slope; see `bayesglm.priors.LogDensity`."""
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


@njit(cache=True, nogil=True)
def evaluate(t, hyper):
    """Return theta, d theta / dt, the log prior of t (Jacobians included) and its gradient."""
    size = len(t)
    theta, speed, gradient = np.empty(size), np.empty(size), np.empty(size)
    total = 0.0
    for k in range(size):
        if hyper.way[k] == 0:
            x = abs(t[k])
            value, slope = log_density(x, hyper.density[k])
            theta[k], speed[k] = t[k], 1.0
            gradient[k] = slope if t[k] >= 0.0 else -slope
        elif hyper.way[k] == 1:
            theta[k] = np.exp(t[k])
            value, slope = log_density(theta[k], hyper.density[k])
            speed[k] = theta[k]
            value += t[k]
            gradient[k] = slope * theta[k] + 1.0
        else:
            small = np.exp(-abs(t[k]))
            share = 1.0 / (1.0 + small) if t[k] >= 0.0 else small / (1.0 + small)
            other = small / (1.0 + small) if t[k] >= 0.0 else 1.0 / (1.0 + small)
            width = hyper.upper[k] - hyper.lower[k]
            theta[k] = hyper.lower[k] + width * share
            speed[k] = width * share * other
            constant, log, complement = hyper.density[k, 0], hyper.density[k, 5], hyper.density[k, 6]
            # Beta densities stand on (0, 1), where theta is the share; log share and log other are exact in the tails.
            value = constant + log * np.log(share) + complement * np.log(other) + np.log(width) + np.log(share) + np.log(other)
            gradient[k] = log * other - complement * share + other - share
        total += value
    return theta, speed, total, gradient


@njit(cache=True, nogil=True)
def thetas(t, hyper):
    """Return theta at many t, shape (draw, theta)."""
    out = np.empty(t.shape)
    for s in range(len(t)):
        out[s] = evaluate(t[s], hyper)[0]
    return out
