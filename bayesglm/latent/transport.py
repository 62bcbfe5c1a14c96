"""Transport: a map of standard normal coordinates onto the field that makes its posterior nearly standard normal.

With H the curvature of the log likelihood in r = Lambda(theta) w at the mode, and b = gradient + H r there (moved with the
constant parameters of the family along D), the posterior of w given theta is nearly normal with precision P and mean P^-1 c:

    P = K(theta) + Lambda' H Lambda = L L'        c = Lambda' (b + sum_k D_k (t_k - t_k at the mode))
    w = L^-T (L^-1 c + z)                         log |dw / dz| = - log |L|

Nothing is divided by a scale or by the information in the data: a level without data keeps P = K, one with much gets H, and a
scale near 0 leaves P = K again. Each function has its derivative beside it, walked backwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.cholesky import Matrix, factor, factor_back, log_determinant, solve_lower, solve_upper
from bayesglm.latent.kernel import inner, kernel
from bayesglm.latent.layout import Layout, pattern_of
from bayesglm.latent.loadings import Loadings, loadings, transpose, transpose_back
from bayesglm.latent.precision import precision, precision_back

Array = NDArray[np.float64]


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
    b, d : arrays, shapes (S,), (C,)
        b + sum_k D_k (t_k - t_k at the mode): sparse part and core.
    mean_w, mean_v : arrays, shapes (S,), (C,)
        L^-1 c.
    w, v : arrays, shapes (S,), (C,)
        The field.
    log_jacobian : float
        log |d(w, v) / d(z, y)|.
    """

    definite: bool
    by: Loadings
    lower: Matrix
    b: Array
    d: Array
    mean_w: Array
    mean_v: Array
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
    by, pattern = loadings(layout, theta), pattern_of(layout)
    lower = precision(layout, theta, by, Matrix(reference.sparse, reference.cross, reference.core))
    definite = factor(pattern, lower)
    b, d = reference.b_sparse.copy(), reference.b_core.copy()
    for k in range(len(layout.constant_theta)):
        moved = t[layout.constant_theta[k]] - reference.t[layout.constant_theta[k]]
        b += reference.d_sparse[k] * moved
        d += reference.d_core[k] * moved
    w, v = transpose(layout, by, b, d)
    solve_lower(pattern, lower, w, v)
    mean_w, mean_v = w.copy(), v.copy()
    w += z
    v += y
    solve_upper(pattern, lower, w, v)
    return Moved(definite, by, lower, b, d, mean_w, mean_v, w, v, -log_determinant(pattern, lower))


@kernel
def backward(
    layout: Layout, reference: Reference, theta: Array, moved: Moved, d_w: Array, d_v: Array,
    d_by: Loadings, d_theta: Array, d_t: Array,
) -> tuple[Array, Array]:
    """Return the gradient in (z, y), and add those in Lambda, theta and t, given the one in the field (w, v).

    The log determinant of the map counts: its slope in L is - 1 / L_jj.
    """
    pattern, lower = pattern_of(layout), moved.lower
    # w = L^-T (a + z), a = L^-1 c.
    d_z, d_y = d_w.copy(), d_v.copy()
    solve_lower(pattern, lower, d_z, d_y)
    d_c, d_e = d_z.copy(), d_y.copy()
    solve_upper(pattern, lower, d_c, d_e)
    gradient = _in_factor(layout, moved, d_z, d_y, d_c, d_e)
    factor_back(pattern, lower, gradient)
    curvature = Matrix(reference.sparse, reference.cross, reference.core)
    precision_back(layout, theta, moved.by, curvature, gradient, d_by, d_theta)
    d_b, d_d = transpose_back(layout, moved.by, moved.b, moved.d, d_c, d_e, d_by)
    for k in range(len(layout.constant_theta)):
        d_t[layout.constant_theta[k]] += inner(reference.d_sparse[k], d_b) + inner(reference.d_core[k], d_d)
    return d_z, d_y


@kernel
def _in_factor(layout: Layout, moved: Moved, d_z: Array, d_y: Array, d_c: Array, d_e: Array) -> Matrix:
    """Return the gradient in L, -w d_z' - d_c (L^-1 c)' on its pattern, and that of - log |L|."""
    size, wide = moved.lower.cross.shape
    sparse, cross, core = np.empty(len(layout.row)), np.empty((size, wide)), np.zeros((wide, wide))
    for j in range(size):
        for p in range(layout.start[j], layout.start[j + 1]):
            i = layout.row[p]
            sparse[p] = -moved.w[i] * d_z[j] - d_c[i] * moved.mean_w[j]
        sparse[layout.start[j]] -= 1.0 / moved.lower.sparse[layout.start[j]]
        for c in range(wide):
            cross[j, c] = -moved.v[c] * d_z[j] - d_e[c] * moved.mean_w[j]
    for c in range(wide):
        for k in range(c + 1):
            core[c, k] = -moved.v[c] * d_y[k] - d_e[c] * moved.mean_v[k]
        core[c, c] -= 1.0 / moved.lower.core[c, c]
    return Matrix(sparse, cross, core)
