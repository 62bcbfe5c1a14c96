"""Curvature: H = A' W A, the curvature of the log likelihood in the field r, from the one in eta, W of shape (P, P, pattern)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesglm.latent.layout import Layout

Array = NDArray[np.float64]


def curvature(layout: Layout, weight: Array) -> tuple[Array, Array, Array]:
    """Return H as lower entries of the sparse part, sparse by core, and core.

    Parameters
    ----------
    layout : Layout
        The field.
    weight : array, shape (P, P, pattern)
        W, symmetric in its first two axes.
    """
    predicted = len(weight)
    core = np.empty((len(layout.columns),) * 2)
    for p in range(predicted):
        left = layout.columns[layout.first[p]:layout.first[p + 1]]
        for q in range(predicted):
            right = layout.columns[layout.first[q]:layout.first[q + 1]]
            core[layout.first[p]:layout.first[p + 1], layout.first[q]:layout.first[q + 1]] = left @ (weight[p, q] * right).T
    sparse, cross = _sparse(layout, weight)
    return sparse, cross, core


@njit(cache=True, nogil=True)
def _sparse(layout, weight):
    size, wide = len(layout.start) - 1, len(layout.columns)
    sparse, cross = np.zeros(len(layout.row)), np.zeros((size, wide))
    predicted, patterns = weight.shape[0], weight.shape[2]
    m = 0
    for b in range(len(layout.block_size)):
        for a in range(b + 1):
            for i in range(patterns):
                pair = layout.row_pair[i, m]
                if pair < 0:
                    continue
                u, v = (b, a) if layout.index[b, i] == layout.pair_begin[pair, 0] else (a, b)
                w = weight[layout.block_predictor[u], layout.block_predictor[v], i]
                first, width = layout.pair_first[pair], layout.block_size[v]
                for j in range(layout.block_size[u]):
                    left = w * layout.values[i, layout.block_values[u] + j]
                    for k in range(j + 1 if a == b else width):
                        sparse[layout.position[first + j * width + k]] += left * layout.values[i, layout.block_values[v] + k]
            m += 1
        if not layout.block_coupled[b]:
            continue
        p, column = layout.block_predictor[b], layout.block_values[b]
        for i in range(patterns):
            at = layout.index[b, i]
            if at < 0:
                continue
            for j in range(layout.block_size[b]):
                left = layout.values[i, column + j]
                for q in range(predicted):
                    w = weight[p, q, i] * left
                    for c in range(layout.first[q], layout.first[q + 1]):
                        cross[at + j, c] += w * layout.columns[c, i]
    return sparse, cross


@njit(cache=True, nogil=True)
def curvature_back(layout, d_sparse, d_cross, d_core, predicted):
    """Return the gradient in W, shape (P, P, pattern), given the one in the lower entries of H."""
    patterns = layout.columns.shape[1]
    out = np.zeros((predicted, predicted, patterns))
    for p in range(predicted):
        for q in range(p + 1):
            for i in range(patterns):
                total = 0.0
                for c in range(layout.first[p], layout.first[p + 1]):
                    inner = 0.0
                    for d in range(layout.first[q], min(c + 1, layout.first[q + 1])):
                        inner += d_core[c, d] * layout.columns[d, i]
                    total += inner * layout.columns[c, i]
                out[p, q, i] += total
    m = 0
    for b in range(len(layout.block_size)):
        for a in range(b + 1):
            for i in range(patterns):
                pair = layout.row_pair[i, m]
                if pair < 0:
                    continue
                u, v = (b, a) if layout.index[b, i] == layout.pair_begin[pair, 0] else (a, b)
                first, width = layout.pair_first[pair], layout.block_size[v]
                total = 0.0
                for j in range(layout.block_size[u]):
                    left = layout.values[i, layout.block_values[u] + j]
                    for k in range(j + 1 if a == b else width):
                        total += d_sparse[layout.position[first + j * width + k]] * left * layout.values[i, layout.block_values[v] + k]
                out[layout.block_predictor[u], layout.block_predictor[v], i] += total
            m += 1
        if not layout.block_coupled[b]:
            continue
        p, column = layout.block_predictor[b], layout.block_values[b]
        for i in range(patterns):
            at = layout.index[b, i]
            if at < 0:
                continue
            for j in range(layout.block_size[b]):
                left = layout.values[i, column + j]
                for q in range(predicted):
                    total = 0.0
                    for c in range(layout.first[q], layout.first[q + 1]):
                        total += d_cross[at + j, c] * layout.columns[c, i]
                    out[p, q, i] += left * total
    return out
