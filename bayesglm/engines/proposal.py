"""Proposal: what draws of nested Laplace come from, and how it learns from their weights.

In transported coordinates the posterior is near a standard normal. The few coordinates that all others depend on, tau of the
hyperparameters and y of intercepts, coefficients and curves, come from a t distribution, for their posterior may have long tails;
the levels, z, are normal:

    (tau, y) ~ t_df(m, C C')        z_j ~ Normal(m_j, s_j^2)

At first m = 0, C = I, s = 1: normal around the mode. `adapted` takes means and covariances from weighted draws instead.

`around` takes them from the normal distribution with the highest ELBO.

Source: Cappe, Douc, Guillin, Marin and Robert (2008), Statistics and Computing 18, 447; van Niekerk and Rue (2024), Journal of
Machine Learning Research 25(62), for a Laplace approximation whose means the ELBO corrects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.spatial import cKDTree
from scipy.special import gammaln

from bayesglm.engines.variational import Normal
from bayesglm.engines.verdict import Weights
from bayesglm.latent.layout import Field

Array = NDArray[np.float64]
Index = NDArray[np.int64]
LOG_TWO_PI = float(np.log(2 * np.pi))
PAIR = 2  # draws that depend on each other: one and its opposite
_FREEDOM, _LEAST_FREEDOM = 7.0, 3.0
LONG_TAILS = 0.5  # k-hat above which the largest weights have no variance
_FAR = 3.5
NEIGHBOURS, CALIBRATIONS = 50, 10
TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A distribution of transported coordinates.

    Attributes
    ----------
    theta : int
        Number of hyperparameters, which come first in q.
    few, rest : int arrays
        Coordinates of (tau, y), tau first, and of z.
    mean : array, shape (few,)
        Location m.
    triangle : array, shape (few, few)
        C, lower triangular.
    rest_mean, rest_sd : array, shape (rest,)
        Means and sds of z.
    freedom : float
        Degrees of freedom.
    """

    theta: int
    few: Index
    rest: Index
    mean: Array
    triangle: Array
    rest_mean: Array
    rest_sd: Array
    freedom: float

    def draw(self, rng: np.random.Generator, pairs: int) -> Array:
        """Return draws, each followed by its opposite about the mean, shape (2 pairs, size)."""
        few, rest = rng.standard_normal((pairs, len(self.few))), rng.standard_normal((pairs, len(self.rest)))
        few *= np.sqrt(self.freedom / rng.chisquare(self.freedom, pairs))[:, None]
        q = np.empty((2 * pairs, len(self.few) + len(self.rest)))
        few, rest = few @ self.triangle.T, self.rest_sd * rest
        for begin, sign in ((0, 1.0), (1, -1.0)):
            q[begin::2, self.few], q[begin::2, self.rest] = self.mean + sign * few, self.rest_mean + sign * rest
        return q

    def log_density(self, q: Array) -> Array:
        """Return the log density, shape (draw,), at points of shape (draw, size)."""
        df, size = self.freedom, len(self.few)
        constant = gammaln((df + size) / 2) - gammaln(df / 2) - size / 2 * np.log(df * np.pi) - self._log_triangle.sum()
        square = (self.standardised(q)**2).sum(axis=1)
        return np.asarray(constant - (df + size) / 2 * np.log1p(square / df) + self._log_rest(q))

    def log_field(self, q: Array) -> Array:
        """Return the log density of y and z given tau, y normal as well, shape (draw,)."""
        y = self.standardised(q)[:, self.theta:]
        normal = -0.5 * (y**2).sum(axis=1) - self._log_triangle[self.theta:].sum() - 0.5 * LOG_TWO_PI * y.shape[1]
        return np.asarray(normal + self._log_rest(q))

    def standardised(self, q: Array) -> Array:
        """Return C^-1 ((tau, y) - m), shape (draw, few)."""
        if not len(self.few):
            return np.zeros((len(q), 0))
        return np.asarray(solve_triangular(self.triangle, (q[:, self.few] - self.mean).T, lower=True).T)

    @property
    def _log_triangle(self) -> Array:
        return np.asarray(np.log(np.diag(self.triangle)))

    def _log_rest(self, q: Array) -> Array:
        z = (q[:, self.rest] - self.rest_mean) / self.rest_sd
        return np.asarray(-0.5 * (z**2).sum(axis=1) - np.log(self.rest_sd).sum() - 0.5 * LOG_TWO_PI * z.shape[1])


def first_proposal(field: Field) -> Proposal:
    """Return the proposal around the mode."""
    theta, wide, size = field.sizes
    few, rest = np.concatenate([np.arange(theta), np.arange(theta + size, theta + size + wide)]), np.arange(theta, theta + size)
    # With more dimensions lighter tails, for their length varies less.
    freedom = max(_FREEDOM, float(len(few)))
    return Proposal(theta, few, rest, np.zeros(len(few)), np.eye(len(few)), np.zeros(size), np.ones(size), freedom)


def around(proposal: Proposal, normal: Normal) -> Proposal:
    """Return the proposal with means and sds of a normal distribution of independent coordinates."""
    mean, sd = normal.mean, normal.sd
    return replace(proposal, mean=mean[proposal.few], triangle=np.diag(sd[proposal.few]), rest_mean=mean[proposal.rest],
                   rest_sd=sd[proposal.rest])


def adapted(proposal: Proposal, q: Array, weights: Weights) -> Proposal:
    """Return the proposal with means and covariances of weighted draws.

    Those of z count only as far as they stand out from their Monte Carlo error, or the errors of many would add up. Where the
    largest weights show that the posterior has longer tails, the degrees of freedom are halved, down to 3.

    Parameters
    ----------
    proposal : Proposal
        What the draws came from.
    q : array, shape (draw, size)
        The draws.
    weights : Weights
        Theirs.
    """
    few, rest, weight = q[:, proposal.few], q[:, proposal.rest], weights.weight
    mean = weight @ few
    covariance = (few - mean).T @ (weight[:, None] * (few - mean))
    # As if there were some draws more of the standard normal that the transport aims at.
    prior = len(mean) + 2.0
    covariance = (weights.effective * covariance + prior * np.eye(len(mean))) / (weights.effective + prior)
    error = 1.0 / weights.effective
    rest_mean = weight @ rest
    excess = np.maximum(weight @ (rest - rest_mean) ** 2 - 1.0, 0.0)
    rest_mean *= rest_mean**2 / (rest_mean**2 + error)
    excess *= excess**2 / (excess**2 + 2 * error)
    freedom = proposal.freedom
    if weights.k_hat > LONG_TAILS:
        freedom = max(freedom / 2, min(_LEAST_FREEDOM, freedom))
        # the covariance of t is df / (df - 2) times its square scale; some of that width is kept
        covariance *= min(1.0, (1 - 2 / freedom) / (1 - 2 / _FREEDOM))
    return replace(proposal, mean=mean, triangle=np.linalg.cholesky(covariance), rest_mean=rest_mean,
                   rest_sd=np.sqrt(1.0 + excess), freedom=freedom)


def theta_shape(proposal: Proposal, q: Array, log_density: Array) -> Array:
    """Return what exact densities say of the hyperparameters alone, log p(tau) up to a constant, shape (draw,).

    The approximation draws the field; the posterior of the hyperparameters beside it may have any shape. It is read off

        log p(q) - log N(y, z | tau) = -|x|^2 / 2 + polynomial of degree 2 with pure cubes and fourth powers + noise

    with x = tau in units of the proposal.

    Parameters
    ----------
    proposal : Proposal
        What the draws came from.
    q : array, shape (draw, size)
        Draws.
    log_density : array, shape (draw,)
        Log density of the posterior.
    """
    size = proposal.theta
    x = proposal.standardised(q)[:, :size]
    square, near = 0.5 * (x**2).sum(axis=1), np.clip(x, -_FAR, _FAR)
    products = (near[:, i] * near[:, j] for i, j in combinations_with_replacement(range(size), 2))
    columns = np.stack([np.ones(len(x)), *near.T, *products, *(near**3).T, *(near**4).T], axis=1)
    usable = np.isfinite(log_density)
    # Least squares where most draws are, not in the tails.
    root = np.exp(-0.25 * square)[usable]
    target = (log_density - proposal.log_field(q) + square)[usable]
    fit, *_ = np.linalg.lstsq(columns[usable] * root[:, None], target * root, rcond=None)
    return np.asarray(columns @ fit - square)


def calibrated(x: Array, plain: Array, exact: Array) -> Array:
    """Return log weights of the approximation whose hyperparameters have, place by place, the posterior that exact weights show.

    What `theta_shape` leaves is taken from the neighbours of each draw: their exact weight over their plain one.

    Parameters
    ----------
    x : array, shape (draw, theta)
        Hyperparameters in units of the proposal.
    plain, exact : array, shape (draw,)
        Weights of the approximation and of the posterior, each with sum 1.

    Examples
    --------
    >>> x = np.linspace(-3.0, 3.0, 2_001)[:, None]
    >>> exact = np.exp(-0.5 * x[:, 0] ** 2)
    >>> found = np.exp(calibrated(x, np.full(2_001, 1 / 2_001), exact / exact.sum()))
    >>> float(np.abs(found - exact).max()) < 0.01
    True
    """
    if not x.shape[1]:
        return np.asarray(np.log(np.maximum(plain, TINY)))
    _, near = cKDTree(x).query(x, min(NEIGHBOURS, len(x)))
    found, wanted = plain, exact[near].sum(axis=1)
    for _ in range(CALIBRATIONS):  # neighbourhoods overlap
        found = found * wanted / np.maximum(found[near].sum(axis=1), TINY)
    return np.asarray(np.log(np.maximum(found / found.max(), TINY)))
