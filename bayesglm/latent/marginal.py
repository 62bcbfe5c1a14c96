"""Marginal: the Laplace approximation of the log density of the hyperparameters, with its exact gradient.

    f(t) = log p(y, u, t) - log |L(t)| + size / 2 log 2 pi        at u = u(t), the mode of the field, L L' = P(t, u(t))

P holds the observed curvature W. The gradient has three parts: log p moves with t at fixed u (u is its mode); log |L| moves with
t through Lambda, K and the constants in W; and through u, which moves by P^-1 of the mixed derivative. The last two need the
derivative of W in eta, contracted with the gradient of log |L| in W: the diagonal of A P^-1 A', which the factor walked backwards
gives.

Source: Rue, Martino and Chopin (2009), Journal of the Royal Statistical Society B 71, 319; Kristensen et al. (2016), Journal of
Statistical Software 70(5), for the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from bayesglm.latent.cholesky import Matrix, factor_back
from bayesglm.latent.curvature import curvature, curvature_back
from bayesglm.latent.hyper import INTERVAL, SIGNED, Hyper, evaluate, middle
from bayesglm.latent.layout import Field, Layout
from bayesglm.latent.loadings import loadings_back, multiply, multiply_back, no_loadings, transpose, transpose_back
from bayesglm.latent.mode import Point, Posterior, Precision, Vector, find_mode
from bayesglm.latent.precision import HALF_LOG_TWO_PI, log_prior, precision_back, precision_back_to_curvature
from bayesglm.latent.predictors import predictors, predictors_back
from bayesglm.log_density import LogDensity

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Marginal:
    """The Laplace marginal at one t.

    Attributes
    ----------
    value : float
        f(t).
    gradient : array, shape (theta,)
        Its gradient.
    point : Point
        The posterior at the mode of the field.
    definite : bool
        Whether the observed curvature is positive definite there; else its negative part was left out.
    """

    value: float
    gradient: Array
    point: Point
    definite: bool


def marginal(posterior: Posterior, t: Array, start: Vector) -> Marginal:
    """Return the Laplace marginal of t and its gradient; the field is searched from a start."""
    point = find_mode(posterior, t, start)
    weight, precision, definite = point.weight, point.precision(point.weight), True
    if precision is None:
        weight, definite = point.positive_weight, False
        precision = point.precision(weight)
    if precision is None:
        return Marginal(-np.inf, np.zeros(len(t)), point, definite=False)
    value = point.log_joint - precision.log_determinant + sum(posterior.field.sizes[1:]) * HALF_LOG_TWO_PI
    if not np.isfinite(value):
        return Marginal(-np.inf, np.zeros(len(t)), point, definite=False)
    return Marginal(value, _gradient(point, weight, precision, definite=definite), point, definite)


def _gradient(point: Point, weight: Array, precision: Precision, *, definite: bool) -> Array:
    """Return the gradient of the marginal in t, at the mode of the field."""
    posterior, layout, by, size = point.posterior, point.posterior.layout, point.by, len(point.w)
    d_by, d_theta = no_loadings(layout), point.prior[3].copy()

    # Gradient of - log |L| in P, H and W.
    d_precision = _in_precision(layout, precision)
    precision_back(layout, point.theta, by, curvature(layout, weight), d_precision, d_by, d_theta)
    d_weight = curvature_back(layout, precision_back_to_curvature(layout, by, d_precision), len(weight))
    cells = np.ascontiguousarray(d_weight[:, :, posterior.likelihood.pattern])
    if not definite:
        cells = cells * (np.einsum("ppi->i", point.second[0]) > 0)
    third, d_constants = posterior.likelihood.third(point.eta, point.constants, cells)

    # How the mode moves: P times its derivative is the mixed derivative, met with the gradient of - log |L| in the field.
    moved = predictors_back(layout, posterior.patterns(third), size)
    along = point.solve(precision, weight, *transpose(layout, by, *moved))
    bent = point.curved(weight, *along)
    d_r, d_q = (own + more - less for own, more, less in zip(point.data_gradient, moved, bent, strict=True))
    multiply_back(layout, by, point.w, point.v, d_r, d_q, d_by)
    transpose_back(layout, by, *point.data_gradient, *along, d_by)

    d_theta += _along(point, along)
    through = predictors(layout, *multiply(layout, by, *along)) - layout.offset
    mixed = np.einsum("kpi,pi->k", point.second[1], posterior.cells(through))
    d_theta[layout.constant_theta] += point.first[2] + d_constants + mixed
    loadings_back(layout, point.theta, d_by, d_theta)
    return np.asarray((point.d_hyperprior + d_theta * point.speed) * (1.0 - posterior.field.hyper.held))


def _in_precision(layout: Layout, precision: Precision) -> Matrix:
    """Return the gradient of - log |L| in the lower entries of P."""
    lower, diagonal = precision.lower, layout.start[:-1]
    gradient = Matrix(*(np.zeros_like(each) for each in lower))
    gradient.sparse[diagonal] = -1.0 / lower.sparse[diagonal]
    np.fill_diagonal(gradient.core, -1.0 / np.diag(lower.core))
    factor_back(layout, lower, gradient)
    if not len(precision.covariance):
        return gradient
    # Along the ties: - log |V| / 2, with V = A P^-1 A' and G = A P^-1.
    g_w, g_v = precision.reached
    v_w, v_v = (np.linalg.solve(precision.covariance, each) for each in (g_w, g_v))
    column = np.repeat(np.arange(len(diagonal)), np.diff(layout.start))
    times = np.where(column == layout.row, 0.5, 1.0)
    core = np.tril(g_v.T @ v_v, -1) + np.diag((g_v * v_v).sum(axis=0)) / 2
    return Matrix(gradient.sparse + times * (g_w[:, layout.row] * v_w[:, column]).sum(axis=0), gradient.cross + g_w.T @ v_v,
                  gradient.core + core)


def _along(point: Point, along: Vector) -> Array:
    """Return how the theta-gradient of the log prior changes along a direction."""
    x, y = along
    # A quadratic in the field where all priors are normal: any step is exact.
    step = 1.0 if point.posterior.field.gaussian else 1e-4
    ahead = log_prior(point.posterior.layout, point.theta, point.w + step * x, point.v + step * y)[3]
    behind = log_prior(point.posterior.layout, point.theta, point.w - step * x, point.v - step * y)[3]
    return np.asarray((ahead - behind) / (2 * step))


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """The optimum of the Laplace marginal.

    Attributes
    ----------
    marginal : Marginal
        The marginal there.
    covariance : array, shape (theta, theta)
        Inverse of minus its Hessian: the approximate posterior covariance of t; the prior variance of what is held.
    distance : float
        Length of the gradient in units of the posterior sd of t; 0 at an exact optimum.
    """

    marginal: Marginal
    covariance: Array
    distance: float


TOLERANCE = 0.01
_CLOSE = 0.1
_MOST_NEWTON = 20


def centre(field: Field) -> Array:
    """Return where a search may start: a moderate scale, the most probable value on the real line of all others.

    What is held is at its prior median.
    """
    held = field.hyper.held != 0
    start = np.where(held, middle(field.hyper)[0], 0.0) if held.any() else np.zeros(field.hyper.size)
    for k in np.flatnonzero(~held).tolist():
        if field.hyper.way[k] == SIGNED:
            start[k] = 0.5 * min(LogDensity(*field.hyper.density[k]).reference_sd / field.hyper.unit[k], 1.0)
        elif field.hyper.way[k] != INTERVAL:
            for step, steps in ((1.0, 40), (0.1, 10)):
                start[k] = _highest(field.hyper, start, k, start[k] + step * np.arange(-steps, steps + 1))
    return start


def _highest(hyper: Hyper, t: Array, k: int, values: Array) -> float:
    """Return the most probable of some values of one hyperparameter."""
    points = np.tile(t, (len(values), 1))
    points[:, k] = values
    return float(values[int(np.argmax([evaluate(each, hyper)[2] for each in points]))])


def climb(posterior: Posterior, start: Array, field: Vector | None = None, *, rough: bool = False) -> Marginal:
    """Climb the Laplace marginal by BFGS; a rough climb only goes where a closer one would end."""
    _, wide, size = posterior.field.sizes
    at = [(np.zeros(size), np.zeros(wide)) if field is None else field]
    best: list[Marginal] = []

    def objective(t: Array) -> tuple[float, Array]:
        found = marginal(posterior, t, at[0])
        if np.isfinite(found.value) and (not best or found.value > best[0].value):
            at[0], best[:] = (found.point.w, found.point.v), [found]
        # A line search that runs into a wall turns back.
        return (-found.value, -found.gradient) if np.isfinite(found.value) else (1e300, np.zeros(len(t)))

    if posterior.field.hyper.held.all():
        return marginal(posterior, start, at[0])
    optimize.minimize(objective, start, jac=True, method="BFGS",
                      options={"gtol": 0.3 if rough else 1e-2, "maxiter": 15 if rough else 200})
    return best[0] if best else marginal(posterior, start, at[0])


def optimise(posterior: Posterior, start: Array, field: Vector | None = None) -> Optimum:
    """Climb the Laplace marginal from a start until its gradient is below `TOLERANCE` posterior sds."""
    best = climb(posterior, start, field)
    hyper = posterior.field.hyper
    prior = np.diag(middle(hyper)[1] ** 2) if hyper.held.any() else np.zeros((hyper.size, hyper.size))
    free = np.flatnonzero(hyper.held == 0)
    if not len(free):
        return Optimum(best, prior, 0.0)
    for _ in range(_MOST_NEWTON):
        covariance = prior.copy()
        covariance[np.ix_(free, free)] = _inverse(_hessian(posterior, best, free))
        step = covariance @ best.gradient
        distance = float(np.sqrt(max(float(best.gradient @ step), 0.0)))
        if distance < TOLERANCE:
            break
        new = marginal(posterior, best.point.t + step * min(1.0, 2.0 / distance), (best.point.w, best.point.v))
        if not new.value > best.value:
            break
        best = new
        if distance < _CLOSE:
            # So near the optimum the Hessian has not moved.
            distance = float(np.sqrt(max(float(best.gradient @ covariance @ best.gradient), 0.0)))
            if distance < TOLERANCE:
                break
    return Optimum(best, covariance, distance)


def _hessian(posterior: Posterior, at: Marginal, free: NDArray[np.intp], step: float = 1e-3) -> Array:
    """Return minus the Hessian of the marginal in some of t by differences of its exact gradient."""
    columns = []
    for k in free:
        move = np.zeros(len(at.gradient))
        move[k] = step
        ahead, behind = (marginal(posterior, at.point.t + sign * move, (at.point.w, at.point.v)).gradient for sign in (1, -1))
        columns.append((behind - ahead)[free] / (2 * step))
    hessian = np.array(columns)
    return np.asarray((hessian + hessian.T) / 2)


def _inverse(hessian: Array) -> Array:
    """Return the inverse with curvatures that are not positive, or far too small, counted as 1."""
    values, vectors = np.linalg.eigh(hessian)
    return np.asarray(vectors / np.where(values > 1e-2, values, 1.0) @ vectors.T)
