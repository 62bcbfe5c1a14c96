"""Precision: K(theta) of the field without data, its log density, and P = K(theta) + Lambda' H Lambda with data.

Functions that end in ``_back`` walk the derivative backwards; see `bayesglm.latent.loadings`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.cholesky import Matrix
from bayesglm.latent.hyper import log_density
from bayesglm.latent.kernel import kernel
from bayesglm.latent.layout import Layout
from bayesglm.latent.loadings import Loadings
from bayesglm.latent.nodes import CONSTANT, INTERIOR, STATIONARY

Array = NDArray[np.float64]
HALF_LOG_TWO_PI = float(np.log(2 * np.pi) / 2)


@kernel
def _band_weight(layout: Layout, theta: Array, entry: int) -> tuple[float, float]:
    """Return what an entry of K is multiplied by, as all of its stretch are, and its slope in rho."""
    kind = layout.band_kind[entry]
    rho = theta[layout.band_theta[entry]] if layout.band_theta[entry] >= 0 else 0.0
    if kind == CONSTANT:
        return 1.0, 0.0
    share = 1.0 / (1.0 - rho * rho)
    slope = 2.0 * rho * share * share
    if kind == STATIONARY:
        return share, slope
    if kind == INTERIOR:
        return share * rho * rho, slope * rho * rho + 2.0 * share * rho
    return -share * rho, -slope * rho - share


@kernel
def precision(layout: Layout, theta: Array, by: Loadings, curvature: Matrix) -> Matrix:
    """Return P = K + Lambda' H Lambda."""
    sparse, cross = _sparse(layout, by.factors, curvature.sparse), _cross(layout, by, curvature.cross)
    for stretch in range(len(layout.band_stretch) - 1):
        low, high = layout.band_stretch[stretch], layout.band_stretch[stretch + 1]
        weight, _ = _band_weight(layout, theta, low)
        for k in range(low, high):
            sparse[layout.band_entry[k]] += layout.band_value[k] * weight
    for j in range(len(layout.own_place)):
        at = layout.start[layout.own_place[j]]
        sparse[at] += by.own[j] * by.own[j] * curvature.sparse[at]
    wide = len(by.scales)
    core = np.empty((wide, wide))
    for c in range(wide):
        for d in range(wide):
            core[c, d] = by.scales[c] * by.scales[d] * curvature.core[c, d]
        core[c, c] += 1.0
    return Matrix(sparse, cross, core)


@kernel
def _sparse(layout: Layout, factors: Array, h: Array) -> Array:
    """Return F_u' H_uv F_v of every pair of nodes u, v that is coupled."""
    sparse = np.zeros(len(layout.row))
    for stretch in range(len(layout.pair_stretch) - 1):
        low, high = layout.pair_stretch[stretch], layout.pair_stretch[stretch + 1]
        u, v, begin = layout.pair_row[low], layout.pair_column[low], layout.pair_first[low]
        if layout.block_size[u] == 1 and layout.block_size[v] == 1:
            product = factors[u, 0, 0] * factors[v, 0, 0]
            for k in range(high - low):
                at = layout.position[begin + k]
                sparse[at] = product * h[at]
        else:
            for pair in range(low, high):
                _pair(layout, pair, factors, h, sparse)
    return sparse


@kernel
def _pair(layout: Layout, pair: int, factors: Array, h: Array, sparse: Array) -> None:
    u, v, first = layout.pair_row[pair], layout.pair_column[pair], layout.pair_first[pair]
    height, width = layout.block_size[u], layout.block_size[v]
    diagonal = layout.pair_begin[pair, 0] == layout.pair_begin[pair, 1]
    for a in range(height):
        for b in range(a + 1 if diagonal else width):
            total = 0.0
            for i in range(a, height):
                inner = 0.0
                for j in range(b, width):
                    inner += h[layout.position[first + i * width + j]] * factors[v, j, b]
                total += factors[u, i, a] * inner
            sparse[layout.position[first + a * width + b]] = total


@kernel
def _cross(layout: Layout, by: Loadings, h: Array) -> Array:
    """Return F_u' H_uc s_c of every node u and core entry c."""
    cross = np.zeros(h.shape)
    for c in range(len(by.scales)):
        for node in range(len(layout.node_begin)):
            b, at = layout.node_block[node], layout.node_begin[node]
            for i in range(layout.block_size[b]):
                scaled = h[at + i, c] * by.scales[c]
                for j in range(i + 1):
                    cross[at + j, c] += by.factors[b, i, j] * scaled
    return cross


@kernel
def precision_back(
    layout: Layout, theta: Array, by: Loadings, curvature: Matrix, gradient: Matrix, d_by: Loadings, d_theta: Array,
) -> None:
    """Add the gradient in Lambda and theta, given the one in the lower entries of P."""
    _sparse_back(layout, by.factors, curvature.sparse, gradient.sparse, d_by.factors)
    for stretch in range(len(layout.band_stretch) - 1):
        low, high = layout.band_stretch[stretch], layout.band_stretch[stretch + 1]
        if layout.band_theta[low] >= 0:
            along = 0.0
            for k in range(low, high):
                along += gradient.sparse[layout.band_entry[k]] * layout.band_value[k]
            d_theta[layout.band_theta[low]] += along * _band_weight(layout, theta, low)[1]
    _cross_back(layout, by, curvature.cross, gradient.cross, d_by)
    for c in range(len(by.scales)):
        for d in range(c + 1):
            h = curvature.core[c, d] * gradient.core[c, d]
            d_by.scales[c] += h * by.scales[d]
            d_by.scales[d] += h * by.scales[c]
    for j in range(len(by.own)):
        at = layout.start[layout.own_place[j]]
        d_by.own[j] += 2.0 * by.own[j] * curvature.sparse[at] * gradient.sparse[at]


@kernel
def _sparse_back(layout: Layout, factors: Array, h: Array, d_sparse: Array, d_factors: Array) -> None:
    for stretch in range(len(layout.pair_stretch) - 1):
        low, high = layout.pair_stretch[stretch], layout.pair_stretch[stretch + 1]
        u, v, begin = layout.pair_row[low], layout.pair_column[low], layout.pair_first[low]
        if layout.block_size[u] == 1 and layout.block_size[v] == 1:
            slope = 0.0
            for k in range(high - low):
                at = layout.position[begin + k]
                slope += d_sparse[at] * h[at]
            d_factors[u, 0, 0] += slope * factors[v, 0, 0]
            d_factors[v, 0, 0] += slope * factors[u, 0, 0]
        else:
            for pair in range(low, high):
                _pair_back(layout, pair, factors, h, d_sparse, d_factors)


@kernel
def _pair_back(layout: Layout, pair: int, factors: Array, h: Array, d_sparse: Array, d_factors: Array) -> None:
    u, v, first = layout.pair_row[pair], layout.pair_column[pair], layout.pair_first[pair]
    height, width = layout.block_size[u], layout.block_size[v]
    diagonal = layout.pair_begin[pair, 0] == layout.pair_begin[pair, 1]
    for a in range(height):
        for b in range(a + 1 if diagonal else width):
            slope = d_sparse[layout.position[first + a * width + b]]
            for i in range(a, height):
                inner = 0.0
                for j in range(b, width):
                    value = h[layout.position[first + i * width + j]]
                    inner += value * factors[v, j, b]
                    d_factors[v, j, b] += slope * value * factors[u, i, a]
                d_factors[u, i, a] += slope * inner


@kernel
def _cross_back(layout: Layout, by: Loadings, h: Array, d_cross: Array, d_by: Loadings) -> None:
    for node in range(len(layout.node_begin)):
        b, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[b]):
            for j in range(i + 1):
                total = 0.0
                for c in range(len(by.scales)):
                    product = d_cross[at + j, c] * h[at + i, c]
                    total += product * by.scales[c]
                    if layout.core_theta[c] >= 0:
                        d_by.scales[c] += product * by.factors[b, i, j]
                d_by.factors[b, i, j] += total


@kernel
def precision_back_to_curvature(layout: Layout, by: Loadings, gradient: Matrix) -> Matrix:
    """Return the gradient in the lower entries of H, given the one in those of P."""
    sparse, cross = np.zeros(len(layout.row)), np.zeros(gradient.cross.shape)
    for pair in range(len(layout.pair_row)):
        _pair_to_curvature(layout, pair, by.factors, gradient.sparse, sparse)
    wide = len(by.scales)
    for node in range(len(layout.node_begin)):
        b, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[b]):
            for j in range(i + 1):
                for c in range(wide):
                    cross[at + i, c] += by.factors[b, i, j] * gradient.cross[at + j, c] * by.scales[c]
    for j in range(len(by.own)):
        at = layout.start[layout.own_place[j]]
        sparse[at] += gradient.sparse[at] * by.own[j] * by.own[j]
    core = np.zeros((wide, wide))
    for c in range(wide):
        for d in range(c + 1):
            core[c, d] = gradient.core[c, d] * by.scales[c] * by.scales[d]
    return Matrix(sparse, cross, core)


@kernel
def _pair_to_curvature(layout: Layout, pair: int, factors: Array, d_sparse: Array, out: Array) -> None:
    u, v, first = layout.pair_row[pair], layout.pair_column[pair], layout.pair_first[pair]
    height, width = layout.block_size[u], layout.block_size[v]
    diagonal = layout.pair_begin[pair, 0] == layout.pair_begin[pair, 1]
    for a in range(height):
        for b in range(a + 1 if diagonal else width):
            slope = d_sparse[layout.position[first + a * width + b]]
            for i in range(a, height):
                for j in range(b, width):
                    out[layout.position[first + i * width + j]] += slope * factors[u, i, a] * factors[v, j, b]


@kernel
def log_prior(layout: Layout, theta: Array, w: Array, v: Array) -> tuple[float, Array, Array, Array]:
    """Return the log density of (w, v) given theta, and its gradient in w, v and theta; what is tied adds nothing."""
    size, wide = len(w), len(v)
    d_w, d_theta = np.zeros(size), np.zeros(len(theta))
    total = -HALF_LOG_TWO_PI * (size - len(layout.tie_first) + wide)
    for stretch in range(len(layout.band_stretch) - 1):
        low, high = layout.band_stretch[stretch], layout.band_stretch[stretch + 1]
        weight, slope = _band_weight(layout, theta, low)
        along = 0.0
        if layout.band_row[low] == layout.band_column[low]:
            for k in range(low, high):
                i = layout.band_row[k]
                product = layout.band_value[k] * w[i]
                along += 0.5 * product * w[i]
                d_w[i] -= weight * product
        else:
            for k in range(low, high):
                i, j, value = layout.band_row[k], layout.band_column[k], layout.band_value[k]
                along += value * w[i] * w[j]
                d_w[i] -= weight * value * w[j]
                d_w[j] -= weight * value * w[i]
        total -= weight * along
        if layout.band_theta[low] >= 0:
            d_theta[layout.band_theta[low]] -= slope * along
    for k in range(len(layout.rho_theta)):
        rho = theta[layout.rho_theta[k]]
        total -= 0.5 * layout.rho_steps[k] * np.log(1.0 - rho * rho)
        d_theta[layout.rho_theta[k]] += layout.rho_steps[k] * rho / (1.0 - rho * rho)
    value, d_v = _log_prior_of_core(layout, theta, w, v, d_w, d_theta)
    return total + value, d_w, d_v, d_theta


@kernel
def sheared(layout: Layout, theta: Array, w: Array, v: Array) -> Array:
    """Return the core as its prior sees it, with what it took up of the walks."""
    u = v.copy()
    for stretch in range(len(layout.shear_stretch) - 1):
        low, high = layout.shear_stretch[stretch], layout.shear_stretch[stretch + 1]
        along = 0.0
        for k in range(low, high):
            along += layout.shear_value[k] * w[layout.shear_place[k]]
        u[layout.shear_core[low]] += theta[layout.shear_theta[low]] * along
    return u


@kernel
def _log_prior_of_core(layout: Layout, theta: Array, w: Array, v: Array, d_w: Array, d_theta: Array) -> tuple[float, Array]:
    """Return the log density of the sheared core, u = v + shear, less that of the normal's constant, and its slope in v.

    The gradient in w and theta is added to what is given.
    """
    total, u = 0.0, sheared(layout, theta, w, v)
    d_u = -u
    for c in range(len(v)):
        total -= 0.5 * u[c] * u[c]
    for k in range(len(layout.other_core)):
        c = layout.other_core[k]
        value, slope = log_density(layout.other_location[k] + layout.other_scale[k] * u[c], layout.other_density[k])
        total += value + 0.5 * u[c] * u[c] + HALF_LOG_TWO_PI
        d_u[c] = slope * layout.other_scale[k]
    for stretch in range(len(layout.shear_stretch) - 1):
        low, high = layout.shear_stretch[stretch], layout.shear_stretch[stretch + 1]
        slope, along = d_u[layout.shear_core[low]], 0.0
        scaled = slope * theta[layout.shear_theta[low]]
        for k in range(low, high):
            d_w[layout.shear_place[k]] += scaled * layout.shear_value[k]
            along += layout.shear_value[k] * w[layout.shear_place[k]]
        d_theta[layout.shear_theta[low]] += slope * along
    return total, d_u
