"""Predictors: eta = offset + A r over covariate patterns and over cells, and A' back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.kernel import inner, kernel
from bayesglm.latent.layout import Layout

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@kernel
def predictors(layout: Layout, r: Array, q: Array) -> Array:
    """Return eta over patterns, shape (P, n), at the field r: sparse part and core q."""
    eta = layout.offset.copy()
    predicted, patterns = eta.shape
    for p in range(predicted):
        for c in range(layout.first[p], layout.first[p + 1]):
            value = q[c]
            for i in range(patterns):
                eta[p, i] += layout.columns[c, i] * value
    for j in range(len(layout.own_place)):
        p, value = layout.own_predictor[j], r[layout.own_place[j]]
        for i in range(patterns):
            eta[p, i] += layout.own_columns[j, i] * value
    for b in range(len(layout.block_size)):
        for a in range(layout.block_size[b]):
            _read(layout, b, a, r, eta)
    return eta


@kernel
def _read(layout: Layout, block: int, effect: int, r: Array, eta: Array) -> None:
    """Add what each pattern reads of one effect of a block."""
    p, column = layout.block_predictor[block], layout.block_values[block] + effect
    for i in range(eta.shape[1]):
        at = layout.coordinate[block, i]
        if at >= 0:
            eta[p, i] += layout.values[i, column] * r[at + effect]


@kernel
def predictors_back(layout: Layout, d_eta: Array, size: int) -> tuple[Array, Array]:
    """Return A' d_eta, sparse part (of this size) and core, for d_eta over patterns."""
    d_r, d_q = np.zeros(size), np.zeros(len(layout.columns))
    for p in range(len(d_eta)):
        for c in range(layout.first[p], layout.first[p + 1]):
            d_q[c] = inner(layout.columns[c], d_eta[p])
    for j in range(len(layout.own_place)):
        d_r[layout.own_place[j]] = inner(layout.own_columns[j], d_eta[layout.own_predictor[j]])
    for b in range(len(layout.block_size)):
        for a in range(layout.block_size[b]):
            _read_back(layout, b, a, d_eta, d_r)
    return d_r, d_q


@kernel
def _read_back(layout: Layout, block: int, effect: int, d_eta: Array, d_r: Array) -> None:
    p, column = layout.block_predictor[block], layout.block_values[block] + effect
    for i in range(d_eta.shape[1]):
        at = layout.coordinate[block, i]
        if at >= 0:
            d_r[at + effect] += layout.values[i, column] * d_eta[p, i]


@kernel
def gather(eta: Array, pattern: Index) -> Array:
    """Return eta over cells, shape (P, cell), from eta over patterns."""
    out = np.empty((eta.shape[0], len(pattern)))
    for p in range(eta.shape[0]):
        for i in range(len(pattern)):
            out[p, i] = eta[p, pattern[i]]
    return out


@kernel
def scatter(d_eta: Array, pattern: Index, patterns: int) -> Array:
    """Return sums over the cells of each pattern, shape (P, pattern)."""
    out = np.zeros((d_eta.shape[0], patterns))
    for p in range(d_eta.shape[0]):
        for i in range(len(pattern)):
            out[p, pattern[i]] += d_eta[p, i]
    return out
