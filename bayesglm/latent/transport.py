"""Transport: a map of standard normal coordinates onto the field that makes its posterior nearly standard normal.

With H the curvature of the log likelihood in r = Lambda(theta) w at the mode, and b = gradient + H r there (moved with the
constant parameters of the family along D), the posterior of w given theta is nearly normal with precision P and mean P^-1 c:

    P = K(theta) + Lambda' H Lambda = L L'        c = Lambda' (b + sum_k D_k (t_k - t_k at the mode))
    w = L^-T (L^-1 c + z)                         log |dw / dz| = - log |L|

Nothing is divided by a scale or by the information in the data: a level without data keeps P = K, one with much gets H, and a
scale near 0 leaves P = K again. Where coordinates are tied to others, L^-1 c + z keeps to the ties (`bayesglm.latent.ties`). Each
function has its derivative beside it, walked backwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.cholesky import Matrix, factor, factor_back, log_determinant, solve_lower, solve_upper
from bayesglm.latent.kernel import inner, kernel
from bayesglm.latent.layout import Layout
from bayesglm.latent.loadings import Loadings, loadings, transpose, transpose_back
from bayesglm.latent.precision import precision, precision_back
from bayesglm.latent.record import record
from bayesglm.latent.ties import Ties, from_axes, from_axes_back, onto_axes, onto_axes_back, tied, tied_back, ties, ties_back

Array = NDArray[np.float64]


@record
class Reference(NamedTuple):
    """What the transport knows of the data.

    Attributes
    ----------
    sparse, cross, core : arrays, shapes (entries of L_ss,), (S, C), (C, C)
        H, as the parts of a `Matrix`.
    b_sparse, b_core : arrays, shapes (S,), (C,)
        Gradient + H r at the mode.
    d_sparse, d_core : arrays, shapes (constants, S), (constants, C)
        How the gradient moves with each constant parameter, on the real line.
    t : array, shape (theta,)
        Hyperparameters at the mode, on the real line.
    turn : array, shape (theta, theta)
        Lower Cholesky factor of their posterior covariance: t = t at the mode + turn tau.
    """

    sparse: Array
    cross: Array
    core: Array
    b_sparse: Array
    b_core: Array
    d_sparse: Array
    d_core: Array
    t: Array
    turn: Array


class Moved(NamedTuple):
    """The field at one (theta, z, y), with everything between.

    Attributes
    ----------
    definite : bool
        Whether P is positive definite; nothing else counts where it is not.
    by : Loadings
        Lambda(theta).
    lower : Matrix
        L.
    pull : array, shape (S + C,)
        b + sum_k D_k (t_k - t_k at the mode): sparse part, then core.
    mean : array, shape (S + C,)
        L^-1 c.
    by_axes : array, shape (S + C,)
        L' (w, v), before what is tied is made exact.
    ties : Ties
        What is tied to other coordinates.
    w, v : arrays, shapes (S,), (C,)
        The field.
    log_jacobian : float
        log |d(free part of w, v) / d(z, y)|.
    """

    definite: bool
    by: Loadings
    lower: Matrix
    pull: Array
    mean: Array
    by_axes: Array
    ties: Ties
    w: Array
    v: Array
    log_jacobian: float


@kernel
def turned(reference: Reference, tau: Array) -> Array:
    """Return the hyperparameters on the real line at standardised coordinates, of which tau may hold more than it needs."""
    t = reference.t.copy()
    for i in range(len(t)):
        for j in range(i + 1):
            t[i] += reference.turn[i, j] * tau[j]
    return t


@kernel
def forward(layout: Layout, reference: Reference, t: Array, theta: Array, z: Array, y: Array) -> Moved:
    """Move standard normal coordinates, z of the sparse part and y of the core, onto the field."""
    by = loadings(layout, theta)
    lower = precision(layout, theta, by, Matrix(reference.sparse, reference.cross, reference.core))
    definite = factor(layout, lower)
    size, free = len(reference.b_sparse), len(z)
    pull = np.empty(size + len(y))
    pull[:size], pull[size:] = reference.b_sparse, reference.b_core
    for k in range(len(layout.constant_theta)):
        moved = t[layout.constant_theta[k]] - reference.t[layout.constant_theta[k]]
        pull[:size] += reference.d_sparse[k] * moved
        pull[size:] += reference.d_core[k] * moved
    held = ties(layout, lower)
    mean, at = np.empty(len(pull)), np.empty(len(pull))
    mean[:size], mean[size:] = transpose(layout, by, pull[:size], pull[size:])
    solve_lower(layout, lower, mean[:size], mean[size:])
    # u = Q_1 ... Q_k (z + what Q_k ... Q_1 L^-1 c has off the axes of what is tied).
    at[:] = mean
    onto_axes(held, at)
    at[free:size] = 0.0
    at[:free] += z
    at[size:] += y
    from_axes(held, at)
    u = at.copy()
    solve_upper(layout, lower, at[:size], at[size:])
    log_jacobian = -log_determinant(layout, lower) - np.log(held.lengths).sum()
    return Moved(definite, by, lower, pull, mean, u, held, tied(layout, at[:size]), at[size:], log_jacobian)


@kernel
def backward(
    layout: Layout, reference: Reference, theta: Array, moved: Moved, d_w: Array, d_v: Array,
    d_by: Loadings, d_theta: Array, d_t: Array,
) -> tuple[Array, Array]:
    """Return the gradient in (z, y), and add those in Lambda, theta and t, given the one in the field (w, v).

    The log determinant of the map counts.
    """
    lower, held = moved.lower, moved.ties
    size, wide = lower.cross.shape
    count = len(held.lengths)
    free = size - count
    # Row 0 of both: w = L^-T u. Row 1: the mean L^-1 c. The others: the ties, L^-1 A'. The slope in L is - left' right.
    left, right = np.empty((2 + count, size + wide)), np.empty((2 + count, size + wide))
    left[0, :size], left[0, size:] = moved.w, moved.v
    right[0, :size], right[0, size:] = tied_back(layout, d_w), d_v
    solve_lower(layout, lower, right[0, :size], right[0, size:])
    slope, d_normals = right[0].copy(), np.zeros((count, size + wide))
    if count:
        from_axes_back(held, moved.by_axes, slope, d_normals)
    d_z, d_y = slope[:free].copy(), slope[size:].copy()
    slope[free:size] = 0.0
    onto_axes_back(held, moved.mean, slope, d_normals)
    solve_upper(layout, lower, slope[:size], slope[size:])
    left[1], right[1] = slope, moved.mean
    if count:
        left[2:], right[2:] = ties_back(layout, lower, held, d_normals), held.columns
    gradient = _in_factor(layout, lower, left, right)
    factor_back(layout, lower, gradient)
    curvature = Matrix(reference.sparse, reference.cross, reference.core)
    precision_back(layout, theta, moved.by, curvature, gradient, d_by, d_theta)
    d_b, d_d = transpose_back(layout, moved.by, moved.pull[:size], moved.pull[size:], slope[:size], slope[size:], d_by)
    for k in range(len(layout.constant_theta)):
        d_t[layout.constant_theta[k]] += inner(reference.d_sparse[k], d_b) + inner(reference.d_core[k], d_d)
    return d_z, d_y


@kernel
def _in_factor(layout: Layout, lower: Matrix, left: Array, right: Array) -> Matrix:
    """Return the gradient in L, - left' right on its pattern, and that of - log |L|."""
    size, wide = lower.cross.shape
    sparse, cross, core = np.zeros(len(layout.row)), np.zeros((size, wide)), np.zeros((wide, wide))
    for m in range(len(left)):
        a, b = left[m], right[m]
        for p in range(len(sparse)):
            sparse[p] -= a[layout.row[p]] * b[layout.column[p]]
        for j in range(size):
            for c in range(wide):
                cross[j, c] -= a[size + c] * b[j]
        for c in range(wide):
            for k in range(c + 1):
                core[c, k] -= a[size + c] * b[size + k]
    for j in range(size):
        sparse[layout.start[j]] -= 1.0 / lower.sparse[layout.start[j]]
    for c in range(wide):
        core[c, c] -= 1.0 / lower.core[c, c]
    return Matrix(sparse, cross, core)
