"""Penalised: the joint mode of coefficients and constant parameters of a model without groups or curves.

    maximise  log likelihood(v, theta) + log prior(v) + log prior(theta)        in theta, not in log theta: no Jacobian

With flat priors that is the maximum likelihood estimate, with normal priors ridge regression, with Laplace priors the lasso.
Given theta, v is found by Newton's method on the smooth part; where priors have a kink, each step solves its quadratic with the
absolute values kept,

    minimise over d   d' H d / 2 - g' d + sum_c penalty_c |v_c + d_c|

one coordinate at a time, so that coefficients become exactly 0.

Source: Friedman, Hastie and Tibshirani (2010), Journal of Statistical Software 33(1), for the coordinates; Lee, Sun and Saunders
(2014), SIAM Journal on Optimization 24, 1420, for Newton's method with a kink.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from bayesglm.latent.curvature import curvature
from bayesglm.latent.hyper import ABSOLUTE, INTERVAL, LOGARITHM, Hyper, evaluate
from bayesglm.latent.layout import Layout
from bayesglm.latent.marginal import centre
from bayesglm.latent.mode import Point, Posterior
from bayesglm.latent.precision import log_prior
from bayesglm.latent.predictors import predictors_back

Array = NDArray[np.float64]
NO_SPARSE = np.zeros(0)
MOST_STEPS, MOST_HALVINGS, MOST_SWEEPS = 200, 40, 2_000
DECREMENT = 1e-14
STEP = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Penalised:
    """The joint mode.

    Attributes
    ----------
    t : array, shape (theta,)
        Constant parameters on the real line.
    v : array, shape (C,)
        Core entries.
    covariance : array, shape (theta + C, theta + C)
        Inverse of minus the Hessian of the log density in (t, v); 0 for entries that a kink holds.
    held : bool array, shape (C,)
        Which entries a kink holds.
    distance : float
        Length of the gradient in t in units of its sd.
    """

    t: Array
    v: Array
    covariance: Array
    held: NDArray[np.bool_]
    distance: float


def penalised_mode(posterior: Posterior) -> Penalised:
    """Return the joint mode; the field has a core only, without scales."""
    field = posterior.field
    penalty = penalties(field.layout)
    size = field.hyper.size
    start = [np.zeros(len(field.core))]

    def objective(t: Array) -> tuple[float, Array]:
        point = conditional_mode(posterior, t, start[0], penalty)
        start[0] = point.v
        return -_density(point), -_slope(point, field.hyper)

    t = centre(field)
    if size:
        t = optimize.minimize(objective, t, jac=True, method="BFGS", options={"gtol": 1e-8, "maxiter": 500}).x
    point = conditional_mode(posterior, t, start[0], penalty)
    held = (penalty > 0) & (point.v == 0)
    free = np.concatenate([np.ones(size, np.bool_), ~held])
    hessian = _hessian(point, field.hyper)
    covariance = np.zeros_like(hessian)
    covariance[np.ix_(free, free)] = np.linalg.inv(hessian[np.ix_(free, free)])
    slope = _slope(point, field.hyper)
    distance = float(np.sqrt(max(float(slope @ covariance[:size, :size] @ slope), 0.0)))
    return Penalised(t, point.v, covariance, held, distance)


def penalties(layout: Layout) -> Array:
    """Return the weight of |v_c| in minus the log prior, 0 where it is smooth."""
    found = np.zeros(len(layout.core_theta))
    found[layout.other_core] = -layout.other_density[:, ABSOLUTE] * layout.other_scale
    return found


def conditional_mode(posterior: Posterior, t: Array, v: Array, penalty: Array) -> Point:
    """Return the posterior at the most probable coefficients given the constant parameters."""
    point = Point(posterior, t, NO_SPARSE, v)
    for _ in range(MOST_STEPS):
        smooth = point.gradient[1] + penalty * np.sign(point.v)
        h = _positive(_curvature(point))
        step = _step(h, smooth, point.v, penalty)
        gain = float(smooth @ step - penalty @ (np.abs(point.v + step) - np.abs(point.v)))
        if not gain > DECREMENT:
            break
        length = 1.0
        for _ in range(MOST_HALVINGS):
            new = Point(posterior, t, NO_SPARSE, point.v + length * step)
            if np.isfinite(new.log_joint) and new.log_joint >= point.log_joint + 1e-4 * length * gain:
                break
            length /= 2
        else:
            break
        point = new
    return point


def _step(h: Array, g: Array, v: Array, penalty: Array) -> Array:
    """Return the step that minimises d' H d / 2 - g' d + sum penalty |v + d|."""
    if not penalty.any():
        return np.linalg.solve(h, g)
    at, slope, diagonal = v.copy(), g.copy(), np.diag(h)
    for _ in range(MOST_SWEEPS):
        largest = 0.0
        for c in range(len(v)):
            aim = at[c] * diagonal[c] + slope[c]
            new = np.sign(aim) * max(abs(aim) - penalty[c], 0.0) / diagonal[c]
            moved = new - at[c]
            if moved:
                slope -= h[:, c] * moved
                at[c] = new
                largest = max(largest, abs(moved) * np.sqrt(diagonal[c]))
        if largest < 1e-12:
            break
    return at - v


def _curvature(point: Point) -> Array:
    """Return minus the Hessian in v of the smooth part, shape (C, C)."""
    layout, theta, v = point.posterior.layout, point.theta, point.v
    found = curvature(layout, point.weight).core
    prior = np.ones(len(v))
    if layout.other_core.size:
        smooth = layout.other_density.copy()
        smooth[:, ABSOLUTE] = 0.0
        bare = layout._replace(other_density=smooth)
        ahead, behind = (log_prior(bare, theta, NO_SPARSE, v + sign * STEP)[2] for sign in (1.0, -1.0))
        prior = (behind - ahead) / (2 * STEP)  # one entry depends on no other
    return np.asarray(found + np.diag(prior))


def _positive(h: Array) -> Array:
    """Return a matrix with its negative directions turned round, so that steps go uphill."""
    values, vectors = np.linalg.eigh(h)
    if values[0] > 1e-10 * max(values[-1], 1.0):
        return h
    return np.asarray(vectors * np.maximum(np.abs(values), 1e-8) @ vectors.T)


def log_speed(t: Array, hyper: Hyper) -> tuple[float, Array]:
    """Return the log of d theta / dt over all hyperparameters, and its gradient."""
    _, speed, _, _ = evaluate(t, hyper)
    share = np.where(hyper.way == INTERVAL, 1.0 / (1.0 + np.exp(-np.clip(t, -700, 700))), 0.5)
    slope = np.where(hyper.way == LOGARITHM, 1.0, np.where(hyper.way == INTERVAL, 1.0 - 2.0 * share, 0.0))
    return float(np.log(speed).sum()), slope


def _density(point: Point) -> float:
    """Return the log density in (theta, v)."""
    return point.log_joint - log_speed(point.t, point.posterior.field.hyper)[0]


def _slope(point: Point, hyper: Hyper) -> Array:
    """Return its gradient in t at fixed v."""
    d_theta = point.prior[3].copy()
    d_theta[point.posterior.layout.constant_theta] += point.first[2]
    return np.asarray(point.d_hyperprior + d_theta * point.speed - log_speed(point.t, hyper)[1])


def _hessian(point: Point, hyper: Hyper) -> Array:
    """Return minus the Hessian of the smooth part in (t, v)."""
    size, layout = hyper.size, point.posterior.layout
    found = np.zeros((size + len(point.v),) * 2)
    found[size:, size:] = _curvature(point)
    for k in range(size):
        move = np.zeros(size)
        move[k] = STEP
        ahead, behind = (_slope(Point(point.posterior, point.t + sign * move, point.w, point.v), hyper) for sign in (1.0, -1.0))
        found[k, :size] = (behind - ahead) / (2 * STEP)
    found[:size, :size] = (found[:size, :size] + found[:size, :size].T) / 2
    for k, mixed in zip(layout.constant_theta, point.second[1], strict=True):
        across = predictors_back(layout, point.posterior.patterns(mixed), 0)[1] * point.speed[k]
        found[k, size:] = found[size:, k] = -across
    return found
