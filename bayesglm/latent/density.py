"""Density: the posterior in transported coordinates q = (tau, z, y), nearly standard normal, with its gradient, compiled.

    t = t at the mode + turn tau        (w, v) = transport(t, z, y)
    log p(q) = log likelihood + log prior of the field + log prior of t + log |d(w, v) / d(z, y)| + log |turn|

One evaluation holds no Python lock. Everything but the family's likelihood is compiled once for all models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesglm.latent.call import address_of, call, unpacking
from bayesglm.latent.curvature import curvature
from bayesglm.latent.hyper import Hyper, evaluate
from bayesglm.latent.layout import Layout
from bayesglm.latent.marginal import Optimum
from bayesglm.latent.mode import Point, Posterior, gather, scatter
from bayesglm.latent.transport import (
    Reference,
    backward,
    core_scales_back,
    factors_back,
    forward,
    log_prior,
    multiply,
    multiply_back,
    predictors,
    predictors_back,
)

Array = NDArray[np.float64]


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
    def arguments(self) -> tuple[Any, ...]:
        """What the kernel takes after q."""
        likelihood = self.posterior.likelihood
        eta = np.zeros((len(likelihood.predicted), len(likelihood.pattern)))
        address = address_of(likelihood.kernel, eta, np.zeros(len(likelihood.constants)), likelihood.data)
        return (self.posterior.layout, self.posterior.field.hyper, self.reference, likelihood.pattern, likelihood.data, address)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The same as arrays in a row, for `packed`."""
        layout, hyper, reference, pattern, data, address = self.arguments
        return (*layout, *hyper, *reference, pattern, address, *data)

    def __call__(self, q: Array) -> tuple[float, Array]:
        """Return the log density and its gradient; minus infinity where a parameter overflows."""
        value, gradient = density(q, *self.arguments)
        return value, gradient

    def field(self, q: Array) -> tuple[Array, Array, Array]:
        """Return t and the field (w, v) at q."""
        theta_size, wide, size = self.posterior.field.sizes
        t = self.reference.t + self.reference.turn @ q[:theta_size]
        theta = evaluate(t, self.posterior.field.hyper)[0]
        state = forward(self.posterior.layout, self.reference, t, theta, q[theta_size:theta_size + size], q[theta_size + size:])
        return t, state[10], state[11]

    def fields(self, q: Array) -> tuple[Array, Array, Array]:
        """Return t, w and v at many q, shape (draws, size)."""
        theta_size, wide, size = self.posterior.field.sizes
        return _fields(np.ascontiguousarray(q), self.posterior.layout, self.posterior.field.hyper, self.reference, size)


@njit(cache=True, nogil=True)
def _fields(q, layout, hyper, reference, size):
    draws, theta_size = len(q), len(reference.t)
    ts, ws, vs = np.empty((draws, theta_size)), np.empty((draws, size)), np.empty((draws, q.shape[1] - theta_size - size))
    for s in range(draws):
        t = reference.t.copy()
        for i in range(theta_size):
            for j in range(i + 1):
                t[i] += reference.turn[i, j] * q[s, j]
        theta = evaluate(t, hyper)[0]
        state = forward(layout, reference, t, theta, q[s, theta_size:theta_size + size], q[s, theta_size + size:])
        ts[s], ws[s], vs[s] = t, state[10], state[11]
    return ts, ws, vs


@njit(cache=True, nogil=True)
def density(q, layout, hyper, reference, pattern, data, address):
    """Return the log density at q and its gradient; minus infinity and zeros where a parameter overflows its range."""
    before = ahead(q, layout, hyper, reference, pattern)
    failed, (value, d_eta, d_constants) = call(address[0], before[0], before[1], data)
    if failed:
        return -np.inf, np.zeros(len(q))
    return behind(q, layout, reference, pattern, before, value.item(), d_eta, d_constants)


class Cells(NamedTuple):
    """Which pattern each cell has, and the address of the family's likelihood, shape (1,)."""

    pattern: NDArray[np.int64]
    address: NDArray[np.int64]


_unpack = unpacking(Layout, Hyper, Reference, Cells)


@njit(cache=True, nogil=True)
def packed(q, gradient, *arrays):
    """Return the log density at q and fill in its gradient; the arrays are those of `Transported.arrays`."""
    layout, hyper, reference, cells, data = _unpack(arrays)
    value, slope = density(q, layout, hyper, reference, cells.pattern, data, cells.address)
    gradient[:] = slope
    return value


@njit(cache=True, nogil=True)
def ahead(q, layout, hyper, reference, pattern):
    """Return eta over cells and the constants, and all that leads to them."""
    theta_size, size = len(reference.t), len(layout.start) - 1
    t = reference.t.copy()
    for i in range(theta_size):
        for j in range(i + 1):
            t[i] += reference.turn[i, j] * q[j]
    theta, speed, prior, d_t = evaluate(t, hyper)
    state = forward(layout, reference, t, theta, q[theta_size:theta_size + size], q[theta_size + size:])
    r, p = multiply(layout, state[1], state[2], state[10], state[11])
    eta = gather(predictors(layout, r, p), pattern)
    constants = np.empty(len(layout.constant_theta))
    for k in range(len(constants)):
        constants[k] = theta[layout.constant_theta[k]]
    return eta, constants, theta, speed, prior, d_t, state


@njit(cache=True, nogil=True)
def behind(q, layout, reference, pattern, before, value, d_eta, d_constants):
    """Return the log density and its gradient in q, given the likelihood's."""
    eta, constants, theta, speed, prior, d_t, state = before
    theta_size, size = len(theta), len(layout.start) - 1
    definite, each, scales, w, v, jacobian = state[0], state[1], state[2], state[10], state[11], state[12]
    gradient = np.zeros(len(q))
    field_prior, d_w, d_v, d_theta = log_prior(layout, theta, w, v)
    total = value + field_prior + prior + jacobian
    for i in range(theta_size):
        total += np.log(reference.turn[i, i])
    if not (definite and np.isfinite(total)):
        return -np.inf, gradient
    d_each, d_scales = np.zeros(each.shape), np.zeros(len(scales))
    d_r, d_q = predictors_back(layout, scatter(d_eta, pattern, layout.columns.shape[1]), size)
    more_w, more_v = multiply_back(layout, each, scales, w, v, d_r, d_q, d_each, d_scales)
    d_z, d_y = backward(layout, reference, theta, state, d_w + more_w, d_v + more_v, d_each, d_scales, d_theta, d_t)
    for k in range(len(constants)):
        d_theta[layout.constant_theta[k]] += d_constants[k]
    factors_back(theta, layout, d_each, d_theta)
    core_scales_back(layout, d_scales, d_theta)
    for i in range(theta_size):
        slope = d_t[i] + d_theta[i] * speed[i]
        for j in range(i + 1):
            gradient[j] += reference.turn[i, j] * slope
    gradient[theta_size:theta_size + size] = d_z
    gradient[theta_size + size:] = d_y
    return total, gradient


def reference_at(optimum: Optimum) -> Reference:
    """Return what the transport knows of the data, from the optimum of the Laplace marginal.

    The curvature is the observed one where it is positive semi-definite in every cell, else the expected information.
    """
    point = optimum.marginal.point
    posterior, likelihood = point.posterior, point.posterior.likelihood
    weight = point.positive_weight if likelihood.log_concave else posterior.patterns(
        likelihood.information(point.eta, point.constants))
    sparse, cross, core = curvature(posterior.layout, weight)
    b_sparse, b_core = _pulled(point, weight)
    mixed = [predictors_back(posterior.layout, posterior.patterns(each), len(point.w)) for each in point.second[1]]
    speed = point.speed[posterior.layout.constant_theta]
    return Reference(
        sparse, cross, core, b_sparse, b_core,
        np.array([d * s for (d, _), s in zip(mixed, speed, strict=True)]).reshape(len(mixed), len(point.w)),
        np.array([d * s for (_, d), s in zip(mixed, speed, strict=True)]).reshape(len(mixed), len(point.v)),
        point.t, np.linalg.cholesky(optimum.covariance),
    )


def _pulled(point: Point, weight: Array) -> tuple[Array, Array]:
    """Return A' g + H r at a point: the information in the data that pulls the field there."""
    layout = point.posterior.layout
    through = predictors(layout, point.r, point.q) - layout.offset
    back = predictors_back(layout, np.einsum("pqi,qi->pi", weight, through), len(point.w))
    gradient = point.data_gradient
    return gradient[0] + back[0], gradient[1] + back[1]
