"""Transport: a map of standard normal coordinates onto the field that makes its posterior nearly standard normal.

With H the curvature of the log likelihood in r = Lambda(theta) w at the mode, and b = gradient + H r there (moved with the constant
parameters of the family along D), the posterior of w given theta is nearly normal with precision P and mean P^-1 c:

    P = K(theta) + Lambda' H Lambda = L L'        c = Lambda' (b + sum_k D_k (t_k - t_k at the mode))
    w = L^-T (L^-1 c + z)                         log |dw / dz| = - log |L|

Nothing is divided by a scale or by the information in the data: a level without data keeps P = K, one with much gets H, and a
scale near 0 leaves P = K again. Every function here has its derivative beside it, walked backwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesglm.latent.cholesky import factor, factor_back, solve_lower, solve_upper
from bayesglm.latent.hyper import log_density

Array = NDArray[np.float64]


class Reference(NamedTuple):
    """What the transport knows of the data.

    Attributes
    ----------
    sparse, cross, core : arrays, shapes (entries of L_ss,), (S, C), (C, C)
        H: lower entries of the sparse part, sparse by core, core.
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


@njit(cache=True, nogil=True)
def factors(theta, layout):
    """Return F_b = D C of every block, shape (block, widest, widest), lower triangular."""
    blocks, widest = layout.block_sd.shape
    out = np.zeros((blocks, widest, widest))
    for b in range(blocks):
        size = layout.block_size[b]
        for i in range(size):
            left = 1.0
            for j in range(i):
                partial = 0.0
                if layout.block_partial[b] >= 0:
                    partial = 2.0 * theta[layout.block_partial[b] + _column(j, size) + i - j - 1] - 1.0
                out[b, i, j] = theta[layout.block_sd[b, i]] * partial * left
                left *= np.sqrt(1.0 - partial * partial)
            out[b, i, i] = theta[layout.block_sd[b, i]] * left
    return out


@njit(cache=True, nogil=True)
def _column(j, size):
    """Return where the partial correlations of column j begin."""
    return j * (size - 1) - j * (j - 1) // 2


@njit(cache=True, nogil=True)
def factors_back(theta, layout, d_factors, d_theta):
    """Add the gradient in theta, given the one in F."""
    blocks = layout.block_sd.shape[0]
    for b in range(blocks):
        size, correlated = layout.block_size[b], layout.block_partial[b] >= 0
        for i in range(size):
            scale, where = theta[layout.block_sd[b, i]], layout.block_sd[b, i]
            partials, left = np.zeros(i), np.ones(i + 1)
            if correlated:
                for j in range(i):
                    partials[j] = 2.0 * theta[layout.block_partial[b] + _column(j, size) + i - j - 1] - 1.0
                    left[j + 1] = left[j] * np.sqrt(1.0 - partials[j] ** 2)
            d_theta[where] += d_factors[b, i, i] * left[i]
            d_left = d_factors[b, i, i] * scale
            for j in range(i - 1, -1, -1):
                if not correlated:
                    continue
                d_theta[where] += d_factors[b, i, j] * partials[j] * left[j]
                root = np.sqrt(1.0 - partials[j] ** 2)
                slope = d_factors[b, i, j] * scale * left[j] - d_left * left[j] * partials[j] / root
                d_theta[layout.block_partial[b] + _column(j, size) + i - j - 1] += 2.0 * slope
                d_left = d_left * root + d_factors[b, i, j] * scale * partials[j]


@njit(cache=True, nogil=True)
def core_scales(theta, layout):
    """Return the scale of every core entry: 1, or a theta."""
    wide = len(layout.core_theta)
    out = np.ones(wide)
    for c in range(wide):
        if layout.core_theta[c] >= 0:
            out[c] = theta[layout.core_theta[c]]
    return out


@njit(cache=True, nogil=True)
def core_scales_back(layout, d_scales, d_theta):
    """Add the gradient in theta, given the one in the scales of the core."""
    for c in range(len(layout.core_theta)):
        if layout.core_theta[c] >= 0:
            d_theta[layout.core_theta[c]] += d_scales[c]


@njit(cache=True, nogil=True)
def multiply(layout, each, scales, w, v):
    """Return r = Lambda w: sparse and core."""
    r = np.empty(len(w))
    for node in range(len(layout.node_begin)):
        b, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[b]):
            total = 0.0
            for j in range(i + 1):
                total += each[b, i, j] * w[at + j]
            r[at + i] = total
    return r, scales * v


@njit(cache=True, nogil=True)
def multiply_back(layout, each, scales, w, v, d_r, d_q, d_each, d_scales):
    """Return Lambda' (d_r, d_q), and add the gradient in F and the scales."""
    d_w = np.zeros(len(w))
    for node in range(len(layout.node_begin)):
        b, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[b]):
            slope = d_r[at + i]
            for j in range(i + 1):
                d_w[at + j] += each[b, i, j] * slope
                d_each[b, i, j] += slope * w[at + j]
    d_scales += d_q * v
    return d_w, scales * d_q


@njit(cache=True, nogil=True)
def transpose(layout, each, scales, b, d):
    """Return Lambda' (b, d)."""
    out = np.zeros(len(b))
    for node in range(len(layout.node_begin)):
        block, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[block]):
            for j in range(i + 1):
                out[at + j] += each[block, i, j] * b[at + i]
    return out, scales * d


@njit(cache=True, nogil=True)
def transpose_back(layout, each, scales, b, d, d_out, d_core, d_each, d_scales):
    """Add the gradient in F and the scales, and return the one in (b, d), of `transpose`."""
    d_b = np.zeros(len(b))
    for node in range(len(layout.node_begin)):
        block, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[block]):
            for j in range(i + 1):
                d_b[at + i] += each[block, i, j] * d_out[at + j]
                d_each[block, i, j] += d_out[at + j] * b[at + i]
    d_scales += d_core * d
    return d_b, scales * d_core


@njit(cache=True, nogil=True)
def predictors(layout, r, q):
    """Return eta over patterns, shape (P, n)."""
    eta = layout.offset.copy()
    predicted, patterns = eta.shape
    for p in range(predicted):
        for c in range(layout.first[p], layout.first[p + 1]):
            value = q[c]
            for i in range(patterns):
                eta[p, i] += layout.columns[c, i] * value
    for b in range(len(layout.block_size)):
        p, column, size = layout.block_predictor[b], layout.block_values[b], layout.block_size[b]
        for i in range(patterns):
            at = layout.index[b, i]
            if at >= 0:
                total = 0.0
                for a in range(size):
                    total += layout.values[i, column + a] * r[at + a]
                eta[p, i] += total
    return eta


@njit(cache=True, nogil=True)
def predictors_back(layout, d_eta, size):
    """Return A' d_eta: the gradient in (r, q)."""
    predicted, patterns = d_eta.shape
    d_r, d_q = np.zeros(size), np.zeros(len(layout.columns))
    for p in range(predicted):
        for c in range(layout.first[p], layout.first[p + 1]):
            d_q[c] = np.dot(layout.columns[c], d_eta[p])
    for b in range(len(layout.block_size)):
        p, column, wide = layout.block_predictor[b], layout.block_values[b], layout.block_size[b]
        for i in range(patterns):
            at = layout.index[b, i]
            if at >= 0:
                for a in range(wide):
                    d_r[at + a] += layout.values[i, column + a] * d_eta[p, i]
    return d_r, d_q


@njit(cache=True, nogil=True)
def band_weight(kind, rho):
    """Return the weight of an entry of K, and its slope in rho."""
    if kind == 0:
        return 1.0, 0.0
    share = 1.0 / (1.0 - rho * rho)
    slope = 2.0 * rho * share * share
    if kind == 1:
        return share, slope
    if kind == 2:
        return share * rho * rho, slope * rho * rho + 2.0 * share * rho
    return -share * rho, -slope * rho - share


@njit(cache=True, nogil=True)
def assemble(layout, theta, each, scales, reference):
    """Return P = K + Lambda' H Lambda as lower entries, cross and core."""
    sparse, cross = np.zeros(len(layout.row)), np.zeros(reference.cross.shape)
    for pair in range(len(layout.pair_row)):
        u, v, first = layout.pair_row[pair], layout.pair_column[pair], layout.pair_first[pair]
        height, width = layout.block_size[u], layout.block_size[v]
        diagonal = layout.pair_begin[pair, 0] == layout.pair_begin[pair, 1]
        for a in range(height):
            for b in range(a + 1 if diagonal else width):
                total = 0.0
                for i in range(a, height):
                    inner = 0.0
                    for j in range(b, width):
                        inner += reference.sparse[layout.position[first + i * width + j]] * each[v, j, b]
                    total += each[u, i, a] * inner
                sparse[layout.position[first + a * width + b]] = total
    for k in range(len(layout.band_entry)):
        rho = theta[layout.band_theta[k]] if layout.band_theta[k] >= 0 else 0.0
        sparse[layout.band_entry[k]] += layout.band_value[k] * band_weight(layout.band_kind[k], rho)[0]
    wide = len(scales)
    for node in range(len(layout.node_begin)):
        b, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[b]):
            for j in range(i + 1):
                value = each[b, i, j]
                if value != 0.0:
                    for c in range(wide):
                        cross[at + j, c] += value * reference.cross[at + i, c]
    for s in range(len(cross)):
        for c in range(wide):
            cross[s, c] *= scales[c]
    core = np.empty((wide, wide))
    for c in range(wide):
        for d in range(wide):
            core[c, d] = scales[c] * scales[d] * reference.core[c, d]
        core[c, c] += 1.0
    return sparse, cross, core


@njit(cache=True, nogil=True)
def assemble_back(layout, theta, each, scales, reference, d_sparse, d_cross, d_core, d_each, d_scales, d_theta):
    """Add the gradient in F, the scales and theta, given the one in the lower entries of P."""
    for pair in range(len(layout.pair_row)):
        u, v, first = layout.pair_row[pair], layout.pair_column[pair], layout.pair_first[pair]
        height, width = layout.block_size[u], layout.block_size[v]
        diagonal = layout.pair_begin[pair, 0] == layout.pair_begin[pair, 1]
        for a in range(height):
            for b in range(a + 1 if diagonal else width):
                slope = d_sparse[layout.position[first + a * width + b]]
                for i in range(a, height):
                    inner = 0.0
                    for j in range(b, width):
                        h = reference.sparse[layout.position[first + i * width + j]]
                        inner += h * each[v, j, b]
                        d_each[v, j, b] += slope * h * each[u, i, a]
                    d_each[u, i, a] += slope * inner
    for k in range(len(layout.band_entry)):
        if layout.band_theta[k] >= 0:
            rho = theta[layout.band_theta[k]]
            slope = layout.band_value[k] * band_weight(layout.band_kind[k], rho)[1]
            d_theta[layout.band_theta[k]] += d_sparse[layout.band_entry[k]] * slope
    wide = len(scales)
    for node in range(len(layout.node_begin)):
        b, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[b]):
            for j in range(i + 1):
                total = 0.0
                for c in range(wide):
                    product = d_cross[at + j, c] * reference.cross[at + i, c]
                    total += product * scales[c]
                    if layout.core_theta[c] >= 0:
                        d_scales[c] += product * each[b, i, j]
                d_each[b, i, j] += total
    for c in range(wide):
        for d in range(c + 1):
            h = reference.core[c, d] * d_core[c, d]
            d_scales[c] += h * scales[d]
            d_scales[d] += h * scales[c]


@njit(cache=True, nogil=True)
def reference_back(layout, each, scales, d_sparse, d_cross, d_core):
    """Return the gradient in the lower entries of H, given the one in those of P."""
    sparse, cross = np.zeros(len(d_sparse)), np.zeros(d_cross.shape)
    for pair in range(len(layout.pair_row)):
        u, v, first = layout.pair_row[pair], layout.pair_column[pair], layout.pair_first[pair]
        height, width = layout.block_size[u], layout.block_size[v]
        diagonal = layout.pair_begin[pair, 0] == layout.pair_begin[pair, 1]
        for a in range(height):
            for b in range(a + 1 if diagonal else width):
                slope = d_sparse[layout.position[first + a * width + b]]
                for i in range(a, height):
                    for j in range(b, width):
                        sparse[layout.position[first + i * width + j]] += slope * each[u, i, a] * each[v, j, b]
    wide = len(scales)
    for node in range(len(layout.node_begin)):
        b, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[b]):
            for j in range(i + 1):
                for c in range(wide):
                    cross[at + i, c] += each[b, i, j] * d_cross[at + j, c] * scales[c]
    core = np.zeros((wide, wide))
    for c in range(wide):
        for d in range(c + 1):
            core[c, d] = d_core[c, d] * scales[c] * scales[d]
    return sparse, cross, core


@njit(cache=True, nogil=True)
def log_prior(layout, theta, w, v):
    """Return the log density of (w, v) given theta, and its gradient in w, v and theta."""
    size, wide = len(w), len(v)
    d_w, d_theta = np.zeros(size), np.zeros(len(theta))
    total = -0.9189385332046727 * (size + wide)
    for k in range(len(layout.band_entry)):
        i, j = layout.band_row[k], layout.band_column[k]
        rho = theta[layout.band_theta[k]] if layout.band_theta[k] >= 0 else 0.0
        weight, slope = band_weight(layout.band_kind[k], rho)
        weight *= layout.band_value[k]
        if i == j:
            total -= 0.5 * weight * w[i] * w[i]
            d_w[i] -= weight * w[i]
            product = 0.5 * w[i] * w[i]
        else:
            total -= weight * w[i] * w[j]
            d_w[i] -= weight * w[j]
            d_w[j] -= weight * w[i]
            product = w[i] * w[j]
        if layout.band_theta[k] >= 0:
            d_theta[layout.band_theta[k]] -= product * slope * layout.band_value[k]
    for k in range(len(layout.rho_theta)):
        rho = theta[layout.rho_theta[k]]
        total -= 0.5 * layout.rho_steps[k] * np.log(1.0 - rho * rho)
        d_theta[layout.rho_theta[k]] += layout.rho_steps[k] * rho / (1.0 - rho * rho)
    u = v.copy()
    for k in range(len(layout.shear_core)):
        u[layout.shear_core[k]] += theta[layout.shear_theta[k]] * layout.shear_value[k] * w[layout.shear_place[k]]
    d_u = -u
    for c in range(wide):
        total -= 0.5 * u[c] * u[c]
    for k in range(len(layout.other_core)):
        c = layout.other_core[k]
        value, slope = log_density(layout.other_location[k] + layout.other_scale[k] * u[c], layout.other_density[k])
        total += value + 0.5 * u[c] * u[c] + 0.9189385332046727
        d_u[c] = slope * layout.other_scale[k]
    for k in range(len(layout.shear_core)):
        slope = d_u[layout.shear_core[k]] * layout.shear_value[k]
        d_w[layout.shear_place[k]] += slope * theta[layout.shear_theta[k]]
        d_theta[layout.shear_theta[k]] += slope * w[layout.shear_place[k]]
    return total, d_w, d_u, d_theta


@njit(cache=True, nogil=True)
def forward(layout, reference, t, theta, z, y):
    """Return everything between (theta, z, y) and the field: F, scales, L, c, w, and log |dw / dz|; None where P is not definite."""
    each, scales = factors(theta, layout), core_scales(theta, layout)
    sparse, cross, core = assemble(layout, theta, each, scales, reference)
    definite = factor(layout.start, layout.row, layout.target, sparse, cross, core)
    b, d = reference.b_sparse.copy(), reference.b_core.copy()
    for k in range(len(layout.constant_theta)):
        moved = t[layout.constant_theta[k]] - reference.t[layout.constant_theta[k]]
        b += reference.d_sparse[k] * moved
        d += reference.d_core[k] * moved
    w, v = transpose(layout, each, scales, b, d)
    solve_lower(layout.start, layout.row, sparse, cross, core, w, v)
    mean_w, mean_v = w.copy(), v.copy()
    w += z
    v += y
    solve_upper(layout.start, layout.row, sparse, cross, core, w, v)
    jacobian = 0.0
    for j in range(len(w)):
        jacobian -= np.log(sparse[layout.start[j]])
    for c in range(len(v)):
        jacobian -= np.log(core[c, c])
    return definite, each, scales, sparse, cross, core, b, d, mean_w, mean_v, w, v, jacobian


@njit(cache=True, nogil=True)
def backward(layout, reference, theta, state, d_w, d_v, d_each, d_scales, d_theta, d_t):
    """Return the gradient in (z, y), and add those in F, scales, theta and t, given the one in the field (w, v).

    The log determinant of the map counts: its slope in L is - 1 / L_jj.
    """
    definite, each, scales, sparse, cross, core, b, d, mean_w, mean_v, w, v, jacobian = state
    size, wide = len(w), len(v)
    # w = L^-T (a + z), a = L^-1 c.
    d_z, d_y = d_w.copy(), d_v.copy()
    solve_lower(layout.start, layout.row, sparse, cross, core, d_z, d_y)
    d_c, d_e = d_z.copy(), d_y.copy()
    solve_upper(layout.start, layout.row, sparse, cross, core, d_c, d_e)
    d_sparse, d_cross, d_core = np.empty(len(sparse)), np.empty((size, wide)), np.zeros((wide, wide))
    for j in range(size):
        for p in range(layout.start[j], layout.start[j + 1]):
            i = layout.row[p]
            d_sparse[p] = -w[i] * d_z[j] - d_c[i] * mean_w[j]
        d_sparse[layout.start[j]] -= 1.0 / sparse[layout.start[j]]
        for c in range(wide):
            d_cross[j, c] = -v[c] * d_z[j] - d_e[c] * mean_w[j]
    for c in range(wide):
        for k in range(c + 1):
            d_core[c, k] = -v[c] * d_y[k] - d_e[c] * mean_v[k]
        d_core[c, c] -= 1.0 / core[c, c]
    factor_back(layout.start, layout.row, layout.target, sparse, cross, core, d_sparse, d_cross, d_core)
    assemble_back(layout, theta, each, scales, reference, d_sparse, d_cross, d_core, d_each, d_scales, d_theta)
    d_b, d_d = transpose_back(layout, each, scales, b, d, d_c, d_e, d_each, d_scales)
    for k in range(len(layout.constant_theta)):
        d_t[layout.constant_theta[k]] += np.dot(reference.d_sparse[k], d_b) + np.dot(reference.d_core[k], d_d)
    return d_z, d_y
