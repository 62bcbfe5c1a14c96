"""Likelihood: a Gaussian mixture at one point by EM, of maximum likelihood or posterior density, to hold the posterior against.

    r_nk = w_k N(x_n | m_k, S_k) / sum_j ...,    w_k = N_k / N,    m_k, S_k = the mode given sums of r_nk, r_nk x, r_nk x x'

Neither step lowers the log likelihood (plus the log prior). Without a prior a component on few rows collapses onto them: that is
what the posterior is for.
Source: Dempster, Laird and Rubin (1977), Journal of the Royal Statistical Society B 39, 1-38.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import multigammaln

from bayesglm.errors import EngineError
from bayesglm.mixtures.component import Array, Params
from bayesglm.mixtures.scorer import log_sum

_SINGULAR = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A Gaussian mixture at one point.

    Attributes
    ----------
    weights : array, shape (component,)
        How often each component occurs.
    means : array, shape (component, column)
        Where it lies.
    covariances : array, shape (component, column, column)
        How wide it is.
    path : tuple of float
        The log likelihood of all rows, plus the log prior where there is one, before each step.
    converged : bool
        Whether the last step gained less than was asked.
    """

    weights: Array
    means: Array
    covariances: Array
    path: tuple[float, ...]
    converged: bool

    def score(self, data: Array) -> Array:
        """Return the log density of rows, shape (row,)."""
        return log_sum(_log_joint(data, self.weights, self.means, self.covariances))


def expectation_maximisation(data: Array, responsibilities: Array, prior: Params | None = None, *, steps: int = 1000,
                             tolerance: float = 1e-7) -> Point:
    """Return the Gaussian mixture where EM ends.

    Parameters
    ----------
    data : array, shape (row, column)
        Numbers.
    responsibilities : array, shape (component, row)
        Where to start, such as `starts.kmeans`.
    prior : mapping, optional
        Normal-Wishart prior of a component, as `components.gaussian.wishart_prior` gives it: the mode of the posterior density
        of means and covariances is then sought, with no prior on the weights.
    steps : int
        Most steps.
    tolerance : float
        Gain a row below which it stops.

    Raises
    ------
    EngineError
        A covariance is singular: a component has collapsed.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = np.concatenate([rng.normal(0, 1, 300), rng.normal(9, 1, 100)])[:, None]
    >>> start = np.array([x[:, 0] < 5, x[:, 0] >= 5]).astype(float)
    >>> found = expectation_maximisation(x, start)
    >>> found.weights.round(2).tolist(), found.means.ravel().round().tolist()
    ([0.75, 0.25], [-0.0, 9.0])
    """
    path: list[float] = []
    weights, means, covariances = _maximised(data, responsibilities, prior)
    converged = False
    for _ in range(steps):
        logs = _log_joint(data, weights, means, covariances)
        total = log_sum(logs)
        path.append(float(total.sum()) + (0.0 if prior is None else _log_prior(prior, means, covariances)))
        if len(path) > 1 and path[-1] - path[-2] < tolerance * len(data):
            converged = True
            break
        weights, means, covariances = _maximised(data, np.exp(logs - total[:, None]).T, prior)
    return Point(weights, means, covariances, tuple(path), converged)


def _maximised(data: Array, responsibilities: Array, prior: Params | None) -> tuple[Array, Array, Array]:
    counts, size = responsibilities.sum(axis=1), data.shape[1]
    kappa, middle = (0.0, np.zeros(size)) if prior is None else (float(prior["kappa"][0]), prior["mean"][0])
    means = (responsibilities @ data + kappa * middle) / (counts + kappa)[:, None]
    away = data - means[:, None]
    scatter = np.einsum("kn,kni,knj->kij", responsibilities, away, away, optimize=True)
    if prior is None:
        return counts / counts.sum(), means, scatter / counts[:, None, None]
    apart = means - middle
    scatter = scatter + kappa * apart[:, :, None] * apart[:, None, :] + prior["psi"]
    return counts / counts.sum(), means, scatter / (counts + prior["nu"][0] + size + 2)[:, None, None]


def _log_joint(data: Array, weights: Array, means: Array, covariances: Array) -> Array:
    smallest = np.linalg.eigvalsh(covariances)[:, 0]
    if not (smallest > _SINGULAR * data.var()).all():
        place = int(smallest.argmin())
        raise EngineError(f"component {place + 1} has collapsed onto rows without spread", value=float(smallest[place]),
                          rule="the likelihood has no maximum there", fix="Give a prior, fewer components or another start.")
    inverse = np.linalg.inv(np.linalg.cholesky(covariances))
    white = (data - means[:, None]) @ inverse.swapaxes(1, 2)
    level = np.log(weights) + np.log(np.diagonal(inverse, axis1=1, axis2=2)).sum(axis=1) - data.shape[1] / 2 * np.log(2 * np.pi)
    return np.asarray(level - 0.5 * (white**2).sum(axis=2).T)


def _log_prior(prior: Params, means: Array, covariances: Array) -> float:
    """Return the log density of means and covariances: normal given inverse Wishart."""
    size, nu, kappa, psi = means.shape[1], float(prior["nu"][0]), float(prior["kappa"][0]), prior["psi"][0]
    precision, log_det = np.linalg.inv(covariances), np.linalg.slogdet(covariances)[1]
    away = means - prior["mean"][0]
    square = np.einsum("ki,kij,kj->k", away, precision, away)
    of_mean = 0.5 * (size * np.log(kappa / (2 * np.pi)) - log_det - kappa * square)
    level = nu / 2 * np.linalg.slogdet(psi)[1] - nu * size / 2 * np.log(2) - multigammaln(nu / 2, size)
    of_covariance = level - (nu + size + 1) / 2 * log_det - 0.5 * np.einsum("ij,kji->k", psi, precision)
    return float((of_mean + of_covariance).sum())
