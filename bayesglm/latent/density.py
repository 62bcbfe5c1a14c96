"""Density: the posterior in transported coordinates q = (tau, z, y), nearly standard normal, with its gradient, compiled.

    t = t at the mode + turn tau        (w, v) = transport(t, z, y)
    log p(q) = log likelihood + log prior of the field + log prior of t + log |d(w, v) / d(z, y)| + log |turn|

One evaluation holds no Python lock. Everything but the family's likelihood is compiled once for all models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.call import address_of, call
from bayesglm.latent.curvature import curvature, times
from bayesglm.latent.hyper import Hyper, evaluate
from bayesglm.latent.kernel import kernel
from bayesglm.latent.layout import Layout
from bayesglm.latent.loadings import loadings_back, multiply, multiply_back, no_loadings
from bayesglm.latent.marginal import Optimum
from bayesglm.latent.mode import Posterior
from bayesglm.latent.precision import log_prior
from bayesglm.latent.predictors import gather, predictors, predictors_back, scatter
from bayesglm.latent.transport import Moved, Reference, backward, forward, turned

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Transported:
    """The log density of a posterior in transported coordinates.

    Attributes
    ----------
    posterior : Posterior
        The posterior.
    reference : Reference
        What the transport knows of the data.
    """

    posterior: Posterior
    reference: Reference

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return sum(self.posterior.field.sizes)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What `packed` takes after q and gradient."""
        likelihood = self.posterior.likelihood
        eta = np.zeros((len(likelihood.predicted), len(likelihood.pattern)))
        address = address_of(likelihood.kernel, eta, np.zeros(len(likelihood.constants)), likelihood.data)
        layout, hyper = self.posterior.layout, self.posterior.field.hyper
        return (layout, hyper, self.reference, likelihood.pattern, address, *likelihood.data)

    def __call__(self, q: Array) -> tuple[float, Array]:
        """Return the log density and its gradient; minus infinity where a parameter overflows."""
        gradient = np.empty(len(q))
        return packed(np.ascontiguousarray(q), gradient, *self.arrays), gradient

    def fields(self, q: Array) -> tuple[Array, Array, Array]:
        """Return t, w and v at many q, shape (draws, size)."""
        return _fields(np.ascontiguousarray(q), self.posterior.layout, self.posterior.field.hyper, self.reference)


@kernel
def _fields(q: Array, layout: Layout, hyper: Hyper, reference: Reference) -> tuple[Array, Array, Array]:
    draws, first, last = len(q), len(reference.t), q.shape[1] - len(reference.b_core)
    ts, ws, vs = np.empty((draws, first)), np.empty((draws, last - first)), np.empty((draws, q.shape[1] - last))
    for s in range(draws):
        t = turned(reference, q[s])
        moved = forward(layout, reference, t, evaluate(t, hyper)[0], q[s, first:last], q[s, last:])
        ts[s], ws[s], vs[s] = t, moved.w[:last - first], moved.v
    return ts, ws, vs


class Ahead(NamedTuple):
    """Everything on the way from q to the likelihood.

    Attributes
    ----------
    eta : array, shape (P, cell)
        Linear predictors.
    constants : array, shape (K,)
        Constant parameters of the family.
    theta, speed : array, shape (theta,)
        Hyperparameters and d theta / dt.
    hyperprior : float
        Log prior of t.
    d_t : array, shape (theta,)
        Its gradient.
    moved : Moved
        The field.
    """

    eta: Array
    constants: Array
    theta: Array
    speed: Array
    hyperprior: float
    d_t: Array
    moved: Moved


@kernel
def packed(
    q: Array, gradient: Array, layout: Layout, hyper: Hyper, reference: Reference, pattern: Index, address: Index, *data: Array,
) -> float:
    """Return the log density at q and fill in its gradient; minus infinity and zeros where a parameter overflows its range.

    Parameters
    ----------
    q, gradient : array
        Coordinates, and what is filled in.
    layout, hyper, reference, pattern, address, data
        `Transported.arrays`.
    """
    before = ahead(q, layout, hyper, reference, pattern)
    failed, (value, d_eta, d_constants) = call(address[0], before.eta, before.constants, data)
    if failed:
        gradient[:] = 0.0
        return -np.inf
    d_r, d_q = predictors_back(layout, scatter(d_eta, pattern, layout.columns.shape[1]), len(before.moved.w))
    total, slope = behind(layout, reference, before, value.item(), d_r, d_q, d_constants)
    gradient[:] = slope
    return total


@kernel
def ahead(q: Array, layout: Layout, hyper: Hyper, reference: Reference, pattern: Index) -> Ahead:
    """Return eta over cells and the constants, and all that leads to them."""
    first, last = len(reference.t), len(q) - len(reference.b_core)
    t = turned(reference, q)
    theta, speed, hyperprior, d_t = evaluate(t, hyper)
    moved = forward(layout, reference, t, theta, q[first:last], q[last:])
    r, core = multiply(layout, moved.by, moved.w, moved.v)
    eta = gather(predictors(layout, r, core), pattern)
    constants = np.empty(len(layout.constant_theta))
    for k in range(len(constants)):
        constants[k] = theta[layout.constant_theta[k]]
    return Ahead(eta, constants, theta, speed, hyperprior, d_t, moved)


@kernel
def behind(
    layout: Layout, reference: Reference, before: Ahead, value: float, d_r: Array, d_q: Array, d_constants: Array,
) -> tuple[float, Array]:
    """Return the log density and its gradient in q, given the likelihood with its gradient in the field r and the constants."""
    theta, moved = before.theta, before.moved
    first, last = len(theta), len(theta) + len(moved.w) - len(layout.tie_first)
    gradient = np.zeros(last + len(moved.v))
    field_prior, d_w, d_v, d_theta = log_prior(layout, theta, moved.w, moved.v)
    total = value + field_prior + before.hyperprior + moved.log_jacobian
    for i in range(first):
        total += np.log(reference.turn[i, i])
    if not (moved.definite and np.isfinite(total)):
        return -np.inf, gradient
    d_by, d_t = no_loadings(layout), before.d_t.copy()
    more_w, more_v = multiply_back(layout, moved.by, moved.w, moved.v, d_r, d_q, d_by)
    d_z, d_y = backward(layout, reference, theta, moved, d_w + more_w, d_v + more_v, d_by, d_theta, d_t)
    for k in range(len(before.constants)):
        d_theta[layout.constant_theta[k]] += d_constants[k]
    loadings_back(layout, theta, d_by, d_theta)
    for i in range(first):
        slope = d_t[i] + d_theta[i] * before.speed[i]
        for j in range(i + 1):
            gradient[j] += reference.turn[i, j] * slope
    gradient[first:last] = d_z
    gradient[last:] = d_y
    return total, gradient


def reference_at(optimum: Optimum) -> Reference:
    """Return what the transport knows of the data, from the optimum of the Laplace marginal.

    The curvature is the observed one where it is positive semi-definite in every cell, else the expected information.
    """
    point = optimum.marginal.point
    posterior, likelihood = point.posterior, point.posterior.likelihood
    weight = point.positive_weight if likelihood.log_concave else posterior.patterns(
        likelihood.information(point.eta, point.constants))
    curved = curvature(posterior.layout, weight)
    # The information in the data that pulls the field to the mode, as far as the transport knows of it.
    b_sparse, b_core = (own + back for own, back in zip(
        point.data_gradient, times(posterior.layout, *curved, point.r, point.q), strict=True))
    mixed = [predictors_back(posterior.layout, posterior.patterns(each), len(point.w)) for each in point.second[1]]
    speed = point.speed[posterior.layout.constant_theta]
    return Reference(
        *curved, b_sparse, b_core,
        np.array([d * s for (d, _), s in zip(mixed, speed, strict=True)]).reshape(len(mixed), len(point.w)),
        np.array([d * s for (_, d), s in zip(mixed, speed, strict=True)]).reshape(len(mixed), len(point.v)),
        point.t, np.linalg.cholesky(optimum.covariance),
    )
