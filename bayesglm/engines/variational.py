"""Variational: the normal distribution nearest to a posterior, found with random numbers that are drawn once.

    q = m + C eps        ELBO(m, C) = mean over s of log p(m + C eps_s) + log |C| + D / 2 (1 + log 2 pi)

C is diagonal, or diagonal but for a block of coordinates where it is lower triangular. The numbers eps_s come in pairs of
opposite sign and have the second moments of a standard normal, exactly: where log p is quadratic the optimum is exact whatever
the number of draws, and elsewhere the error is that of what is left. With fixed numbers the ELBO is a smooth function, which
L-BFGS climbs in some ten evaluations from a standard normal; it has an upper bound only where the pairs outnumber the coordinates
of the block.

Source: Kucukelbir et al. (2017), Journal of Machine Learning Research 18(14); Giordano, Ingram and Broderick (2024), Journal of
Machine Learning Research 25(18), for the fixed numbers; Nocedal (1980), Mathematics of Computation 35, 773, for L-BFGS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Batch = Callable[[Array], tuple[Array, Array]]
LOG_TWO_PI_E = 1.0 + float(np.log(2 * np.pi))
# An optimum: no mean is further than this from where its gradient vanishes, in sds, and no log sd further than this over sqrt(2).
TOLERANCE = 0.01
MEMORY = 20
MOST_HALVINGS = 30
LONGEST_STEP = 2.0  # of any coordinate, in sds


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """A normal distribution of q.

    Attributes
    ----------
    mean : array, shape (D,)
        m.
    log_sd : array, shape (D,)
        Logarithm of the diagonal of C.
    block : int array, shape (B,)
        Coordinates of the block.
    lower : array, shape (B (B - 1) / 2,)
        Entries of C below the diagonal of the block, row by row.
    """

    mean: Array
    log_sd: Array
    block: Index
    lower: Array

    @property
    def triangle(self) -> Array:
        """C within the block, shape (B, B)."""
        found = np.diag(np.exp(self.log_sd[self.block]))
        found[np.tril_indices(len(self.block), -1)] = self.lower
        return found

    @property
    def sd(self) -> Array:
        """Standard deviation of each coordinate, shape (D,)."""
        found: Array = np.exp(self.log_sd)
        found[self.block] = np.sqrt((self.triangle**2).sum(axis=1))
        return found

    def at(self, eps: Array) -> Array:
        """Return m + C eps for standard normal numbers, shape (S, D)."""
        found = self.mean + np.exp(self.log_sd) * eps
        found[:, self.block] = self.mean[self.block] + eps[:, self.block] @ self.triangle.T
        return found

    def standardised(self, q: Array) -> Array:
        """Return C^-1 (q - m), the inverse of `at`."""
        found = (q - self.mean) / np.exp(self.log_sd)
        if self.block.size:
            found[:, self.block] = solve_triangular(self.triangle, (q - self.mean)[:, self.block].T, lower=True).T
        return np.asarray(found)

    def log_density(self, q: Array) -> Array:
        """Return the log density at points of shape (S, D)."""
        eps = self.standardised(q)
        return np.asarray(-0.5 * (eps**2).sum(axis=1) - self.log_sd.sum() - 0.5 * q.shape[1] * (LOG_TWO_PI_E - 1.0))

    def moved(self, step: Array) -> Normal:
        """Return the distribution a step further, in the coordinates of `gradient`."""
        d = len(self.mean)
        return Normal(self.mean + step[:d], self.log_sd + step[d:2 * d] / np.sqrt(2.0), self.block, self.lower + step[2 * d:])

    def gradient(self, eps: Array, slopes: Array) -> Array:
        """Return the gradient of the ELBO in (m, sqrt(2) log diagonal of C, C below the diagonal).

        In these coordinates minus the Hessian at a standard normal posterior is the identity.

        Parameters
        ----------
        eps, slopes : array, shape (S, D)
            Random numbers, and the gradient of the log density at ``at(eps)``.
        """
        d_log_sd = (slopes * eps).mean(axis=0) * np.exp(self.log_sd) + 1.0
        product = slopes[:, self.block].T @ eps[:, self.block] / len(eps)
        d_lower = product[np.tril_indices(len(self.block), -1)]
        return np.concatenate([slopes.mean(axis=0), d_log_sd / np.sqrt(2.0), d_lower])


def standard(size: int, block: Index) -> Normal:
    """Return the standard normal with a block.

    Examples
    --------
    >>> standard(3, np.array([0, 2])).sd.tolist()
    [1.0, 1.0, 1.0]
    """
    return Normal(np.zeros(size), np.zeros(size), block, np.zeros(len(block) * (len(block) - 1) // 2))


def numbers(size: int, draws: int, joint: Index, seed: int | np.random.SeedSequence) -> Array:
    """Return standard normal numbers in pairs of opposite sign, with matched second moments, shape (draws, size).

    Every coordinate has mean 0 and mean square 1, and those that are named together have covariances of 0, all exactly.

    Parameters
    ----------
    size : int
        D.
    draws : int
        S, even.
    joint : int array
        Coordinates whose covariances are 0; at most half as many as there are pairs.
    seed : int or SeedSequence
        The same seed gives the same numbers.

    Examples
    --------
    >>> eps = numbers(3, 20, np.array([0, 1]), seed=1)
    >>> (eps.T @ eps / 20).round(12)[:2].tolist()[0][:2], bool(np.allclose(eps.sum(axis=0), 0))
    ([1.0, 0.0], True)
    """
    half = np.random.default_rng(seed).standard_normal((draws // 2, size))
    if joint.size:
        factor = np.linalg.cholesky(half[:, joint].T @ half[:, joint] / len(half))
        half[:, joint] = solve_triangular(factor, half[:, joint].T, lower=True).T
    half /= np.sqrt((half**2).mean(axis=0))
    return np.concatenate([half, -half])


@dataclass(frozen=True, slots=True, eq=False)
class Climbed:
    """Where a climb of the ELBO ended.

    Attributes
    ----------
    normal : Normal
        The distribution there.
    elbo : array, shape (evaluations,)
        The ELBO at every point that was accepted.
    distance : float
        The largest entry of the gradient in the coordinates of `Normal.gradient`: about how many sds the worst mean is off.
    evaluations : int
        How often all draws were evaluated.
    converged : bool
        Whether the distance is below `TOLERANCE`.
    """

    normal: Normal
    elbo: Array
    distance: float
    evaluations: int

    @property
    def converged(self) -> bool:
        """Whether the climb ended at an optimum."""
        return self.distance < TOLERANCE

    @property
    def relative_change(self) -> float:
        """Relative change of the ELBO in the last step; infinite where there was none."""
        if len(self.elbo) < 2:
            return float("inf")
        return float(abs(self.elbo[-1] - self.elbo[-2]) / max(abs(self.elbo[-1]), 1.0))


def climb(batch: Batch, start: Normal, eps: Array, *, iterations: int) -> Climbed:
    """Climb the ELBO by L-BFGS until it is at an optimum, or for so many iterations.

    Parameters
    ----------
    batch : callable
        Log densities, shape (S,), and gradients, shape (S, D), at points of shape (S, D); minus infinity where there are none.
    start : Normal
        Where to begin.
    eps : array, shape (S, D)
        From `numbers`.
    iterations : int
        At most so many steps.
    """
    entropy = 0.5 * eps.shape[1] * LOG_TWO_PI_E

    def evaluate(at: Normal) -> tuple[float, Array]:
        values, slopes = batch(at.at(eps))
        if not np.isfinite(values).all():
            return -np.inf, np.zeros(0)
        return float(values.mean() + at.log_sd.sum() + entropy), at.gradient(eps, slopes)

    at, evaluations = start, 1
    value, gradient = evaluate(at)
    elbo = [value]
    pairs: deque[tuple[Array, Array]] = deque(maxlen=MEMORY)
    if not np.isfinite(value):
        return Climbed(at, np.array(elbo), np.inf, evaluations)
    for _ in range(iterations):
        if np.abs(gradient).max() < TOLERANCE:
            break
        direction = _two_loops(gradient, pairs)
        direction *= min(1.0, LONGEST_STEP / np.abs(direction).max())
        for _ in range(MOST_HALVINGS):
            new = at.moved(direction)
            new_value, new_gradient = evaluate(new)
            evaluations += 1
            if new_value >= value + 1e-4 * (direction @ gradient):
                break
            direction /= 2
        else:
            break
        bend = direction @ (gradient - new_gradient)
        if bend > 1e-10 * (direction @ direction):
            pairs.append((direction, gradient - new_gradient))
        at, value, gradient = new, new_value, new_gradient
        elbo.append(value)
    return Climbed(at, np.array(elbo), float(np.abs(gradient).max()), evaluations)


def _two_loops(gradient: Array, pairs: deque[tuple[Array, Array]]) -> Array:
    """Return the inverse of minus the Hessian, as far as steps and changes of the gradient tell it, times the gradient."""
    found, weights = gradient.copy(), []
    for step, change in reversed(pairs):
        weights.append((step @ found) / (step @ change))
        found -= weights[-1] * change
    for (step, change), weight in zip(pairs, reversed(weights), strict=True):
        found += (weight - (change @ found) / (step @ change)) * step
    return found
