"""Mode: the most probable field given the hyperparameters, by Newton's method on the structure.

At (w, v) with eta = A Lambda(theta) (w, v) + offset, gradient g and curvature W of the log likelihood in eta,

    gradient = Lambda' A' g + gradient of the log prior        P = K(theta) + Lambda' A' W A Lambda
    step = P^-1 gradient, shortened until the log joint density rises

Where P is not positive definite, the negative part of W is left out, which keeps the step uphill. The equation is solved by
conjugate gradients with the factor of P, which is one iteration except where P leaves something out (the prior's view of a
walk's mean, how coefficients with scales of their own depend on each other). What is tied stays tied.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.cholesky import Matrix, factor, log_determinant, solve_lower, solve_upper
from bayesglm.latent.curvature import curvature
from bayesglm.latent.hyper import bends, evaluate
from bayesglm.latent.kernel import inner
from bayesglm.latent.layout import Field, Layout
from bayesglm.latent.likelihood import CellLikelihood
from bayesglm.latent.loadings import loadings, multiply, transpose
from bayesglm.latent.precision import log_prior, precision, sheared
from bayesglm.latent.predictors import gather, predictors, predictors_back, scatter
from bayesglm.latent.ties import tie_matrix, tied

Array = NDArray[np.float64]
Vector = tuple[Array, Array]
_MOST_STEPS = 100
_MOST_HALVINGS = 30
_MOST_DIRECTIONS = 50
_DECREMENT = 1e-10
_ROUNDING = 1e-12  # of the log joint density, a sum over cells and levels
# Nearer than this to 0, relative or in sds, conjugate gradients of many levels meet nothing but rounding.
_RESIDUAL, _NOTHING = 1e-9, 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """The posterior of field and hyperparameters: a layout with its likelihood.

    Attributes
    ----------
    field : Field
        The layout, with what its entries are.
    likelihood : CellLikelihood
        The log likelihood over cells.
    """

    field: Field
    likelihood: CellLikelihood

    @property
    def layout(self) -> Layout:
        """The arrays of the field."""
        return self.field.layout

    def eta(self, theta: Array, w: Array, v: Array) -> Array:
        """Return the linear predictors over patterns, shape (P, pattern)."""
        return predictors(self.layout, *multiply(self.layout, loadings(self.layout, theta), tied(self.layout, w), v))

    def log_joint(self, t: Array, w: Array, v: Array) -> float:
        """Return the log density of data, field (w, v) and hyperparameters t on the real line."""
        theta, _, prior, _ = evaluate(t, self.field.hyper)
        value, _, _ = self.likelihood.value_and_gradient(self.cells(self.eta(theta, w, v)), theta[self.layout.constant_theta])
        return float(value + prior + log_prior(self.layout, theta, tied(self.layout, w), v)[0])

    def cells(self, eta: Array) -> Array:
        """Return predictors over cells from those over patterns."""
        return gather(eta, self.likelihood.pattern)

    def patterns(self, d_eta: Array) -> Array:
        """Return sums over the cells of each pattern of an array whose last axis are cells."""
        n = self.layout.columns.shape[1]
        flat = scatter(np.ascontiguousarray(d_eta.reshape(-1, d_eta.shape[-1])), self.likelihood.pattern, n)
        return flat.reshape(*d_eta.shape[:-1], n)


@dataclass(eq=False)
class Point:
    """The posterior at one (theta, w, v), with what follows from it, each computed when asked for.

    Attributes
    ----------
    posterior : Posterior
        The posterior.
    t, theta : array, shape (theta,)
        Hyperparameters on the real line and as they are.
    w, v : array, shapes (S,), (C,)
        The field: sparse part, of which the free coordinates count, and core.
    speed : array, shape (theta,)
        d theta / dt.
    hyperprior : float
        Log prior of t.
    d_hyperprior : array, shape (theta,)
        Its gradient.
    by : Loadings
        Lambda(theta).
    r, q : array, shapes (S,), (C,)
        Lambda (w, v).
    eta : array, shape (P, cell)
        Linear predictors.
    constants : array, shape (K,)
        Constant parameters of the family.
    """

    posterior: Posterior
    t: Array
    w: Array
    v: Array

    def __post_init__(self) -> None:
        layout = self.posterior.layout
        self.w = tied(layout, self.w)
        self.theta, self.speed, self.hyperprior, self.d_hyperprior = evaluate(self.t, self.posterior.field.hyper)
        self.by = loadings(layout, self.theta)
        self.r, self.q = multiply(layout, self.by, self.w, self.v)
        self.eta = self.posterior.cells(predictors(layout, self.r, self.q))
        self.constants = self.theta[layout.constant_theta]

    @cached_property
    def first(self) -> tuple[float, Array, Array]:
        """Log likelihood, and its gradient in eta over cells and in the constant parameters."""
        return self.posterior.likelihood.value_and_gradient(self.eta, self.constants)

    @cached_property
    def second(self) -> tuple[Array, Array]:
        """Minus the second derivative in eta over cells, (P, P, cell), and the mixed one with the constants."""
        *_, w, mixed = self.posterior.likelihood.second(self.eta, self.constants)
        return w, mixed

    @cached_property
    def prior(self) -> tuple[float, Array, Array, Array]:
        """Log prior of the field and its gradient in w, v and theta."""
        return log_prior(self.posterior.layout, self.theta, self.w, self.v)

    @property
    def log_joint(self) -> float:
        """Log density of data, field and hyperparameters on the real line."""
        return float(self.first[0] + self.prior[0] + self.hyperprior)

    @cached_property
    def data_gradient(self) -> Vector:
        """A' g, the gradient of the log likelihood in r."""
        return predictors_back(self.posterior.layout, self.posterior.patterns(self.first[1]), len(self.w))

    @cached_property
    def gradient(self) -> Vector:
        """Gradient of the log joint density in (w, v)."""
        d_w, d_v = transpose(self.posterior.layout, self.by, *self.data_gradient)
        return d_w + self.prior[1], d_v + self.prior[2]

    @cached_property
    def weight(self) -> Array:
        """W over patterns, shape (P, P, pattern)."""
        return self.posterior.patterns(self.second[0])

    @cached_property
    def positive_weight(self) -> Array:
        """W over patterns without its negative part, cell by cell."""
        return self.posterior.patterns(without_negative(self.second[0]))

    def precision(self, weight: Array) -> Precision | None:
        """Return P for a curvature over patterns; None where it is not positive definite."""
        layout = self.posterior.layout
        lower = precision(layout, self.theta, self.by, curvature(layout, weight))
        return Precision(layout, lower) if factor(layout, lower) else None

    def curved(self, weight: Array, x: Array, y: Array) -> Vector:
        """Return A' W A Lambda (x, y) for a curvature over patterns."""
        layout = self.posterior.layout
        through = predictors(layout, *multiply(layout, self.by, x, y)) - layout.offset
        return predictors_back(layout, np.einsum("pqi,qi->pi", weight, through), len(x))

    @cached_property
    def excess(self) -> Array:
        """Minus the second derivative of the log prior of each core entry, less the 1 of a normal one."""
        layout, found = self.posterior.layout, np.zeros(len(self.v))
        u = sheared(layout, self.theta, self.w, self.v)[layout.other_core]
        bend = bends(layout.other_location + layout.other_scale * u, layout.other_density)
        found[layout.other_core] = -(layout.other_scale**2) * bend - 1.0
        return found

    def times_hessian(self, weight: Array, x: Array, y: Array) -> Vector:
        """Return minus the Hessian of the log joint density times (x, y)."""
        layout = self.posterior.layout
        d_w, d_v = transpose(layout, self.by, *self.curved(weight, x, y))
        # The prior's Hessian: its gradient is linear where it is normal.
        bare = layout._replace(other_core=layout.other_core[:0])
        _, p_w, p_v, _ = log_prior(bare, self.theta, x, y)
        if layout.other_core.size:
            more = self.excess * sheared(layout, self.theta, x, y)
            d_v += more
            np.add.at(d_w, layout.shear_place, self.theta[layout.shear_theta] * layout.shear_value * more[layout.shear_core])
        return d_w - p_w, d_v - p_v

    def solve(self, precision: Precision, weight: Array, x: Array, y: Array) -> Vector:
        """Return the inverse of minus the Hessian times (x, y), by conjugate gradients with the factor as preconditioner.

        Where the Hessian turns out to bend the other way: what was found so far, or P^-1 (x, y) if that is nothing.
        """
        at_w, at_v = np.zeros_like(x), np.zeros_like(y)
        left_w, left_v = x.copy(), y.copy()
        near_w, near_v = precision.solve(left_w, left_v)
        step_w, step_v = near_w, near_v
        size = first = inner(left_w, near_w) + inner(left_v, near_v)
        for _ in range(_MOST_DIRECTIONS):
            if not size > max(_RESIDUAL**2 * first, _NOTHING**2):
                break
            h_w, h_v = self.times_hessian(weight, step_w, step_v)
            bend = inner(step_w, h_w) + inner(step_v, h_v)
            if not bend > 0:
                return (at_w, at_v) if at_w.any() or at_v.any() else (step_w, step_v)
            length = size / bend
            at_w, at_v = at_w + length * step_w, at_v + length * step_v
            left_w, left_v = left_w - length * h_w, left_v - length * h_v
            near_w, near_v = precision.solve(left_w, left_v)
            new = inner(left_w, near_w) + inner(left_v, near_v)
            step_w, step_v = near_w + new / size * step_w, near_v + new / size * step_v
            size = new
        return at_w, at_v


@dataclass(frozen=True, eq=False)
class Precision:
    """P = L L', where A x = 0.

    Attributes
    ----------
    layout : Layout
        The field.
    lower : Matrix
        L.
    """

    layout: Layout
    lower: Matrix

    def solve(self, x: Array, y: Array) -> Vector:
        """Return (P^-1 - G' V^-1 G) (x, y): the inverse of P along the ties."""
        x, y = self._untied(x, y)
        if len(self.covariance):
            g_w, g_v = self.reached
            along = np.linalg.solve(self.covariance, tie_matrix(self.layout) @ x)
            x, y = x - along @ g_w, y - along @ g_v
        return x, y

    def _untied(self, x: Array, y: Array) -> Vector:
        """Return P^-1 (x, y)."""
        x, y = x.copy(), y.copy()
        solve_lower(self.layout, self.lower, x, y)
        solve_upper(self.layout, self.lower, x, y)
        return x, y

    @cached_property
    def reached(self) -> Vector:
        """G = A P^-1, shapes (k, S) and (k, C)."""
        found = [self._untied(row, np.zeros(len(self.lower.core))) for row in tie_matrix(self.layout)]
        size, wide = self.lower.cross.shape
        return (np.array([w for w, _ in found]).reshape(len(found), size),
                np.array([v for _, v in found]).reshape(len(found), wide))

    @cached_property
    def covariance(self) -> Array:
        """V = A P^-1 A', shape (k, k)."""
        return np.asarray(self.reached[0] @ tie_matrix(self.layout).T)

    @property
    def log_determinant(self) -> float:
        """Half the log determinant of P along the ties: log |L| + log |V| / 2."""
        return float(log_determinant(self.layout, self.lower) + np.linalg.slogdet(self.covariance)[1] / 2)

    @property
    def core_variance(self) -> Array:
        """Diagonal of the core of the inverse, shape (C,)."""
        inverse, (_, g_v) = np.linalg.inv(self.lower.core), self.reached
        return np.asarray((inverse**2).sum(axis=0) - (g_v * np.linalg.solve(self.covariance, g_v)).sum(axis=0))


def without_negative(weight: Array) -> Array:
    """Return the nearest positive semi-definite block of each cell, shape (P, P, cell)."""
    if len(weight) == 1:
        return np.maximum(weight, 0.0)
    values, vectors = np.linalg.eigh(np.moveaxis((weight + weight.swapaxes(0, 1)) / 2, -1, 0))
    if values.min(initial=0.0) >= 0:
        return weight
    return np.moveaxis(np.einsum("npk,nk,nqk->npq", vectors, np.maximum(values, 0.0), vectors), 0, -1)


def find_mode(posterior: Posterior, t: Array, start: Vector) -> Point:
    """Return the posterior at the most probable field given t, searched from a start."""
    point = Point(posterior, t, *start)
    for _ in range(_MOST_STEPS):
        weight = point.weight
        precision = point.precision(weight)
        exact = precision is not None
        if precision is None:
            weight = point.positive_weight
            precision = point.precision(weight)
        if precision is None:
            break
        g_w, g_v = point.gradient
        s_w, s_v = point.solve(precision, weight, g_w, g_v)
        gain = inner(g_w, s_w) + inner(g_v, s_v)
        if not gain > _DECREMENT:
            break
        step = 1.0
        for _ in range(_MOST_HALVINGS):
            new = Point(posterior, t, point.w + step * s_w, point.v + step * s_v)
            least = point.log_joint + 1e-4 * step * gain - _ROUNDING * abs(point.log_joint)
            if np.isfinite(new.log_joint) and new.log_joint >= least:
                break
            step /= 2
        else:
            break
        point = new
        # So near the mode a step of the exact Hessian leaves nothing; any other leaves a share of the way.
        if exact and gain < 1e-6 and step == 1.0:
            break
    return point
