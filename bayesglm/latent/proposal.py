"""Proposal: draws of the hyperparameters around the optimum of their Laplace marginal, with tails heavier than the posterior's.

    tau ~ t_df(0, I)        t = t at the optimum + turn tau

A scale s and its mirror image -s (effects, and partial correlations with another effect, turned with it) are the same
distribution, and both may be drawn. Draws on one side stand for both: their density is the sum over the mirror images,

    q(t) = sum over signs f of t_df(turn^-1 (f t - t at the optimum))

which leaves no trough at s = 0. The field given t comes from the transport, a normal draw.

`shape` is the other half: the posterior of t that importance ratios show, without what they correct in the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import gammaln, logsumexp

from bayesglm.latent.density import Transported
from bayesglm.latent.layout import Field
from bayesglm.latent.transport import Reference
from bayesglm.latent.variables import signed

Array = NDArray[np.float64]
LOG_TWO_PI = float(np.log(2 * np.pi))
_MOST_MIRRORED = 8
_FAR = 3.5


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A distribution of tau.

    Attributes
    ----------
    reference : Reference
        Holds the optimum and the turn.
    mirrors : array, shape (image, theta)
        Signs of t in every mirror image, the first all 1.
    freedom : float
        Degrees of freedom.
    """

    reference: Reference
    mirrors: Array
    freedom: float

    def draw(self, rng: np.random.Generator, pairs: int) -> Array:
        """Return draws of tau and their opposites, shape (2 pairs, theta)."""
        size = self.mirrors.shape[1]
        normal = rng.standard_normal((pairs, size))
        tau = normal * np.sqrt(self.freedom / rng.chisquare(self.freedom, pairs))[:, None]
        return np.concatenate([tau, -tau])

    def log_density(self, tau: Array) -> Array:
        """Return log q at tau, shape (draw,), mirror images included."""
        reference = self.reference
        t = reference.t + tau @ reference.turn.T
        images = [solve_triangular(reference.turn, (t * mirror - reference.t).T, lower=True).T for mirror in self.mirrors[1:]]
        found: Array = logsumexp([self._log_t(each) for each in (tau, *images)], axis=0)
        return found

    def _log_t(self, tau: Array) -> Array:
        size, df = tau.shape[1], self.freedom
        constant = gammaln((df + size) / 2) - gammaln(df / 2) - size / 2 * np.log(df * np.pi)
        return np.asarray(constant - (df + size) / 2 * np.log1p((tau**2).sum(axis=1) / df))


def proposal_of(transported: Transported) -> Proposal:
    """Return the proposal around the optimum of a transported posterior."""
    size = transported.posterior.field.hyper.size
    return Proposal(transported.reference, mirrors_of(transported.posterior.field, transported.reference), max(7.0, 2.0 * size))


def mirrors_of(field: Field, reference: Reference) -> Array:
    """Return the signs of t in each mirror image of the posterior; of many scales, those nearest to 0."""
    where = np.flatnonzero(signed(field))
    spread = np.sqrt((reference.turn[where] ** 2).sum(axis=1))
    near = where[np.argsort(np.abs(reference.t[where]) / spread, kind="stable")[:_MOST_MIRRORED]]
    found = []
    for signs in product((1.0, -1.0), repeat=len(near)):
        mirror = np.ones(field.hyper.size)
        mirror[near] = signs
        for placed in field.placed:
            column, row = np.triu_indices(len(placed.sd), 1)
            if placed.partial.size:
                mirror[placed.partial] = mirror[placed.sd[row]] * mirror[placed.sd[column]]
        found.append(mirror)
    return np.array(found)


def shape(tau: Array, log_target: Array) -> Array:
    """Return the log density of tau, shape (draw,), that noisy values of it show: a polynomial beside a standard normal.

        log p(tau) = -|tau|^2 / 2 + polynomial of degree 2, with pure cubes and fourth powers

    Parameters
    ----------
    tau : array, shape (draw, theta)
        Draws.
    log_target : array, shape (draw,)
        Log density of tau and a field drawn from its conditional, divided by that conditional.
    """
    square = 0.5 * (tau**2).sum(axis=1)
    near = np.clip(tau, -_FAR, _FAR)
    size = tau.shape[1]
    terms = [np.ones(len(tau)), *near.T, *(near[:, i] * near[:, j] for i, j in combinations_with_replacement(range(size), 2)),
             *(near**3).T, *(near**4).T]
    columns = np.stack(terms, axis=1)
    usable = np.isfinite(log_target)
    # Least squares where a standard normal would be, not in the tails.
    root = np.exp(-0.25 * square)[usable]
    fit, *_ = np.linalg.lstsq(columns[usable] * root[:, None], (log_target + square)[usable] * root, rcond=None)
    return np.asarray(columns @ fit - square)
