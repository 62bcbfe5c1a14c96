"""Exact: posteriors of one to three parameters by quadrature, written with SciPy and nothing of the package.

Each function takes the table of a target and returns, for each reported quantity, its values over a grid with probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

Array = NDArray[np.float64]
Marginals = Mapping[str, tuple[Array, Array]]


def normalised(log_density: Array) -> Array:
    """Return probabilities of grid points.

    Examples
    --------
    >>> normalised(np.log([1.0, 3.0])).tolist()
    [0.25, 0.75]
    """
    density = np.exp(log_density - log_density.max())
    return np.asarray(density / density.sum())


def mesh(*axes: Array) -> list[Array]:
    """Return the coordinates of all points of a grid, one flat array for each axis."""
    return [each.ravel() for each in np.meshgrid(*axes, indexing="ij")]


def without_data(table: pd.DataFrame) -> Marginals:
    """Return Intercept ~ N(0, 1), sd = |N(0, 1)|, and effect = sd N(0, 1) for each group."""
    line = np.linspace(-6, 6, 1_201)
    scale, z = mesh(np.linspace(0.0025, 6, 1_200), line)
    joint = normalised(stats.norm.logpdf(scale) + stats.norm.logpdf(z))
    effects = {f"effect_g[{level}, Intercept]": (scale * z, joint) for level in table["g"]}
    return {"Intercept": (line, normalised(stats.norm.logpdf(line))), "sd_g[Intercept]": (scale, joint), **effects}


def separated(table: pd.DataFrame) -> Marginals:
    """Return the posterior of logit p = Intercept + beta x with N(0, 10^2) priors."""
    intercept, slope = mesh(np.linspace(-40, 40, 801), np.linspace(-20, 70, 901))
    log_density = stats.norm.logpdf(intercept, 0, 10) + stats.norm.logpdf(slope, 0, 10)
    for y, x in zip(table["y"], table["x"], strict=True):
        log_density += special.log_expit((2 * y - 1) * (intercept + slope * x))
    probability = normalised(log_density)
    return {"Intercept": (intercept, probability), "beta[x]": (slope, probability)}


def conflicting(table: pd.DataFrame) -> Marginals:
    """Return the posterior of log mu ~ Cauchy(0, 0.01), on a grid of u with log mu = 0.01 sinh u."""
    u = np.linspace(-10, 10, 40_001)
    eta = 0.01 * np.sinh(u)
    log_density = stats.cauchy.logpdf(eta, 0, 0.01) + np.log(np.cosh(u))
    log_density += sum(y * eta - np.exp(eta) for y in table["y"])
    return {"Intercept": (eta, normalised(log_density))}


def clustered(table: pd.DataFrame) -> Marginals:
    """Return the posterior of y ~ t_nu(mu, sigma), over mu, log sigma and log nu."""
    ends = table["y"].min() - 3, table["y"].max() + 3
    mu, log_sigma, log_nu = mesh(np.linspace(*ends, 641), np.linspace(-6, 1.2, 73), np.linspace(-4, 2.5, 66))
    sigma, nu = np.exp(log_sigma), np.exp(log_nu)
    log_density = stats.norm.logpdf(mu, 0, 10) - 0.5 * (sigma / 0.5) ** 2 + log_sigma + 2 * log_nu - 2 * nu
    rows = len(table)
    log_density += rows * (special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * log_nu - log_sigma)
    for y in table["y"]:
        log_density -= (nu + 1) / 2 * np.log1p(((y - mu) / sigma) ** 2 / nu)
    probability = normalised(log_density)
    return {"Intercept": (mu, probability), "sigma": (sigma, probability), "nu": (nu, probability)}


def plain_zeros(table: pd.DataFrame) -> Marginals:
    """Return the posterior of a zero-inflated negative binomial, over log mu, log concentration and logit zero probability."""
    log_mu, log_k, logit = mesh(np.linspace(-1.5, 3, 181), np.linspace(-4.5, 4, 171), np.linspace(-12, 6, 145))
    k = np.exp(log_k)
    log_density = stats.norm.logpdf(log_mu, 0, 2) - 0.5 * k + log_k + special.log_expit(logit) + special.log_expit(-logit)
    log_density += _negative_binomial(table["y"], log_mu, k, special.expit(logit))
    probability = normalised(log_density)
    return {"Intercept": (log_mu, probability), "concentration": (k, probability),
            "zero_probability": (special.expit(logit), probability)}


def equidispersed(table: pd.DataFrame) -> Marginals:
    """Return the posterior of a negative binomial, over log mu and log concentration."""
    log_mu, log_k = mesh(np.linspace(0, 3.5, 701), np.linspace(-2, 9, 881))
    k = np.exp(log_k)
    log_density = stats.norm.logpdf(log_mu, 0, 2.5) + stats.t.logpdf(k, 3, scale=10) + log_k
    log_density += _negative_binomial(table["y"], log_mu, k, np.zeros(1))
    probability = normalised(log_density)
    return {"Intercept": (log_mu, probability), "concentration": (k, probability)}


def _negative_binomial(y: pd.Series, log_mu: Array, k: Array, zero: Array) -> Array:
    """Return sum_i log(zero [y_i = 0] + (1 - zero) NB(y_i | mu, k)), value by value of y."""
    total = np.zeros_like(log_mu)
    for value, times in zip(*np.unique(y, return_counts=True), strict=True):
        own = stats.nbinom.logpmf(value, k, k / (k + np.exp(log_mu)))
        with np.errstate(divide="ignore"):
            inflated = np.logaddexp(np.log(zero), np.log1p(-zero) + own) if value == 0 else np.log1p(-zero) + own
        total += times * inflated
    return total


EXACT: Mapping[str, Callable[[pd.DataFrame], Marginals]] = {
    "no-data": without_data, "separation": separated, "prior-conflict": conflicting, "mirrored": clustered,
    "two-clusters": clustered, "zero-none": plain_zeros, "concentration": equidispersed,
}
