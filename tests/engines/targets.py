"""Targets: models of two parameters whose posterior is known by quadrature, written with SciPy and nothing of the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

import bayesglm as bg
from bayesglm.priors import Exponential, Normal

Array = NDArray[np.float64]

X = np.linspace(-1.0, 1.5, 12)
EXPOSURE = np.resize([0.5, 1.0, 2.0, 3.0], 12)
LINE = np.array([0.0, 1, 2, 1, 0, 3, 4, 2, 2, 5, 9, 14])
SPREAD = np.array([0.0, 1, 0, 7, 2, 0, 1, 19, 3, 4, 0, 2])


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A model and its exact posterior.

    Attributes
    ----------
    model : Model
        The model.
    values : mapping
        Parameter to its value at every point of a grid, flattened.
    probability : array, shape (point,)
        Posterior probability of every point.
    """

    model: bg.Model
    values: Mapping[str, Array]
    probability: Array

    def mean(self, name: str) -> float:
        return float(self.probability @ self.values[name])

    def sd(self, name: str) -> float:
        return float(np.sqrt(self.probability @ (self.values[name] - self.mean(name)) ** 2))

    def upper_tail(self, name: str) -> tuple[float, float]:
        """Return a point one sd above the mean and the probability beyond it."""
        point = self.mean(name) + self.sd(name)
        return point, float(self.probability[self.values[name] > point].sum())


def poisson_line(slope_sd: float = 1.0) -> Target:
    """Counts with exposure: log mu = Intercept + beta x."""
    slope = Normal(0.0, slope_sd)
    table = pd.DataFrame({"y": LINE, "x": X, "e": EXPOSURE})
    model = bg.Model("y ~ x", table, "poisson", exposure="e", priors={"Intercept": Normal(0.5, 1.0), "x": slope})
    intercept, beta = (each.ravel() for each in np.meshgrid(np.linspace(-2.0, 3.0, 601), np.linspace(-2.0, 4.0, 601)))
    log_density = stats.norm.logpdf(intercept, 0.5, 1.0) + stats.norm.logpdf(beta, slope.mu, slope.sigma)
    for y, x, e in zip(LINE, X, EXPOSURE, strict=True):
        log_density += stats.poisson.logpmf(y, e * np.exp(intercept + beta * x))
    return Target(model, {"Intercept": intercept, "beta": beta}, _normalised(log_density))


def negative_binomial_spread(rate: float = 0.5) -> Target:
    """Counts with a concentration k, over a grid of log k: variance mu + mu^2 / k."""
    model = bg.Model("y ~ 1", pd.DataFrame({"y": SPREAD}), "negative_binomial",
                     priors={"Intercept": Normal(1.0, 1.0), "concentration": Exponential(rate)})
    intercept, log_k = (each.ravel() for each in np.meshgrid(np.linspace(-3.0, 5.0, 601), np.linspace(-6.0, 5.0, 601)))
    k = np.exp(log_k)
    log_density = stats.norm.logpdf(intercept, 1.0, 1.0) + stats.expon.logpdf(k, scale=1 / rate) + log_k
    for y in SPREAD:
        log_density += stats.nbinom.logpmf(y, k, k / (k + np.exp(intercept)))
    return Target(model, {"Intercept": intercept, "concentration": k}, _normalised(log_density))


def _normalised(log_density: Array) -> Array:
    density = np.exp(log_density - log_density.max())
    return density / density.sum()
