"""Loadings: r = Lambda(theta) w, the field in the units of the linear predictor, with its derivatives walked backwards.

    Lambda = diag(F_b for each level of each block b, scales of single coefficients, scales of the core),      F_b = D C

with D the standard deviations of a block's effects and C the Cholesky factor of their correlation, made of partial correlations
p_ij: C_ij = p_ij prod_{k < j} sqrt(1 - p_ik^2), and C_ii = prod_{k < i} sqrt(1 - p_ik^2).

A function that ends in ``_back`` takes the gradient in what its twin returns, adds the gradient in the loadings or theta to the
arrays it is given, and returns the one in its twin's vectors.

Source of the partial correlations: Lewandowski, Kurowicka and Joe (2009), Journal of Multivariate Analysis 100, 1989.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.kernel import kernel
from bayesglm.latent.layout import Layout
from bayesglm.latent.scales import own_scales, own_scales_back

Array = NDArray[np.float64]


class Loadings(NamedTuple):
    """Lambda, or a gradient in it.

    Attributes
    ----------
    factors : array, shape (block, widest, widest)
        F_b, lower triangular.
    scales : array, shape (C,)
        Scale of each core entry: 1, or a theta.
    own : array, shape (A,)
        Scales of single coefficients.
    """

    factors: Array
    scales: Array
    own: Array


@kernel
def loadings(layout: Layout, theta: Array) -> Loadings:
    """Return Lambda(theta)."""
    blocks, widest = layout.block_sd.shape
    factors, scales = np.zeros((blocks, widest, widest)), np.ones(len(layout.core_theta))
    for b in range(blocks):
        for i in range(layout.block_size[b]):
            sd, left = theta[layout.block_sd[b, i]], 1.0
            if layout.block_partial[b] >= 0:
                for j in range(i):
                    partial = 2.0 * theta[_partial(layout, b, i, j)] - 1.0
                    factors[b, i, j] = sd * partial * left
                    left *= np.sqrt(1.0 - partial * partial)
            factors[b, i, i] = sd * left
    for c in range(len(scales)):
        if layout.core_theta[c] >= 0:
            scales[c] = theta[layout.core_theta[c]]
    return Loadings(factors, scales, own_scales(layout, theta))


@kernel
def _partial(layout: Layout, b: int, i: int, j: int) -> int:
    """Return which theta is (1 + p_ij) / 2, i > j, of block b: below the diagonal, column by column."""
    return int(layout.block_partial[b] + j * (layout.block_size[b] - 1) - j * (j - 1) // 2 + i - j - 1)


@kernel
def no_loadings(layout: Layout) -> Loadings:
    """Return zeros to which gradients are added."""
    blocks, widest = layout.block_sd.shape
    return Loadings(np.zeros((blocks, widest, widest)), np.zeros(len(layout.core_theta)), np.zeros(len(layout.own_place)))


@kernel
def loadings_back(layout: Layout, theta: Array, gradient: Loadings, d_theta: Array) -> None:
    """Add the gradient in theta, given the one in Lambda."""
    for b in range(len(layout.block_size)):
        correlated = layout.block_partial[b] >= 0
        for i in range(layout.block_size[b]):
            where = layout.block_sd[b, i]
            if correlated:
                _correlated_back(layout, theta, b, i, gradient.factors, d_theta)
            else:
                d_theta[where] += gradient.factors[b, i, i]
    for c in range(len(gradient.scales)):
        if layout.core_theta[c] >= 0:
            d_theta[layout.core_theta[c]] += gradient.scales[c]
    own_scales_back(layout, theta, gradient.own, d_theta)


@kernel
def _correlated_back(layout: Layout, theta: Array, b: int, i: int, d_factors: Array, d_theta: Array) -> None:
    """Add the gradient in the sd and the partial correlations of row i of F_b; left_j is prod_{k < j} sqrt(1 - p_ik^2)."""
    where = layout.block_sd[b, i]
    sd, partial, left = theta[where], np.zeros(i), np.ones(i + 1)
    for j in range(i):
        partial[j] = 2.0 * theta[_partial(layout, b, i, j)] - 1.0
        left[j + 1] = left[j] * np.sqrt(1.0 - partial[j] ** 2)
    d_theta[where] += d_factors[b, i, i] * left[i]
    d_left = d_factors[b, i, i] * sd
    for j in range(i - 1, -1, -1):
        d_theta[where] += d_factors[b, i, j] * partial[j] * left[j]
        root = np.sqrt(1.0 - partial[j] ** 2)
        slope = d_factors[b, i, j] * sd * left[j] - d_left * left[j] * partial[j] / root
        d_theta[_partial(layout, b, i, j)] += 2.0 * slope
        d_left = d_left * root + d_factors[b, i, j] * sd * partial[j]


@kernel
def multiply(layout: Layout, by: Loadings, w: Array, v: Array) -> tuple[Array, Array]:
    """Return Lambda (w, v): sparse part and core."""
    r = np.empty(len(w))
    for node in range(len(layout.node_begin)):
        b, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[b]):
            total = 0.0
            for j in range(i + 1):
                total += by.factors[b, i, j] * w[at + j]
            r[at + i] = total
    for j in range(len(by.own)):
        r[layout.own_place[j]] = by.own[j] * w[layout.own_place[j]]
    return r, by.scales * v


@kernel
def multiply_back(
    layout: Layout, by: Loadings, w: Array, v: Array, d_r: Array, d_q: Array, gradient: Loadings,
) -> tuple[Array, Array]:
    """Add the gradient in Lambda and return the one in (w, v), Lambda' (d_r, d_q), of `multiply`."""
    d_w = np.zeros(len(w))
    for node in range(len(layout.node_begin)):
        b, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[b]):
            slope = d_r[at + i]
            for j in range(i + 1):
                d_w[at + j] += by.factors[b, i, j] * slope
                gradient.factors[b, i, j] += slope * w[at + j]
    for j in range(len(by.own)):
        at = layout.own_place[j]
        d_w[at] = by.own[j] * d_r[at]
        gradient.own[j] += d_r[at] * w[at]
    for c in range(len(v)):
        gradient.scales[c] += d_q[c] * v[c]
    return d_w, by.scales * d_q


@kernel
def transpose(layout: Layout, by: Loadings, b: Array, d: Array) -> tuple[Array, Array]:
    """Return Lambda' (b, d): sparse part and core."""
    out = np.zeros(len(b))
    for node in range(len(layout.node_begin)):
        block, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[block]):
            for j in range(i + 1):
                out[at + j] += by.factors[block, i, j] * b[at + i]
    for j in range(len(by.own)):
        out[layout.own_place[j]] = by.own[j] * b[layout.own_place[j]]
    return out, by.scales * d


@kernel
def transpose_back(
    layout: Layout, by: Loadings, b: Array, d: Array, d_out: Array, d_core: Array, gradient: Loadings,
) -> tuple[Array, Array]:
    """Add the gradient in Lambda and return the one in (b, d), Lambda (d_out, d_core), of `transpose`."""
    d_b = np.zeros(len(b))
    for node in range(len(layout.node_begin)):
        block, at = layout.node_block[node], layout.node_begin[node]
        for i in range(layout.block_size[block]):
            for j in range(i + 1):
                d_b[at + i] += by.factors[block, i, j] * d_out[at + j]
                gradient.factors[block, i, j] += d_out[at + j] * b[at + i]
    for j in range(len(by.own)):
        at = layout.own_place[j]
        d_b[at] = by.own[j] * d_out[at]
        gradient.own[j] += d_out[at] * b[at]
    for c in range(len(d)):
        gradient.scales[c] += d_core[c] * d[c]
    return d_b, by.scales * d_core
