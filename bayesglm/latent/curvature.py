"""Curvature: H = A' W A, the curvature of the log likelihood in the field r, from the one in eta, W of shape (P, P, pattern)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.cholesky import Matrix
from bayesglm.latent.kernel import inner, kernel
from bayesglm.latent.layout import Layout

Array = NDArray[np.float64]


def curvature(layout: Layout, weight: Array) -> Matrix:
    """Return H.

    Parameters
    ----------
    layout : Layout
        The field.
    weight : array, shape (P, P, pattern)
        W, symmetric in its first two axes.
    """
    found = Matrix(_sparse(layout, weight), _cross(layout, weight), _core(layout, weight))
    _own(layout, weight, found.sparse)
    return found


@kernel
def _own(layout: Layout, weight: Array, out: Array) -> None:
    """Fill in coefficients with scales of their own, each by itself.

    With couplings to the core, but none to each other, the whole would not be positive definite.
    """
    for j in range(len(layout.own_place)):
        p, column = layout.own_predictor[j], layout.own_columns[j]
        out[layout.start[layout.own_place[j]]] = inner(column, weight[p, p] * column)


@kernel
def times(layout: Layout, sparse: Array, cross: Array, core: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Return H (x, y), given the lower entries of H."""
    out, size = np.zeros(len(x)), len(x)
    for j in range(size):
        first = layout.start[j]
        out[j] += sparse[first] * x[j]
        for p in range(first + 1, layout.start[j + 1]):
            i = layout.row[p]
            out[i] += sparse[p] * x[j]
            out[j] += sparse[p] * x[i]
    rest = np.zeros(len(y))
    for c in range(len(y)):
        for j in range(size):
            out[j] += cross[j, c] * y[c]
            rest[c] += cross[j, c] * x[j]
        for d in range(len(y)):
            rest[c] += core[c, d] * y[d]
    return out, rest


@kernel
def _core(layout: Layout, weight: Array) -> Array:
    """Return the core, both triangles."""
    core = np.empty((len(layout.columns), len(layout.columns)))
    for p in range(len(weight)):
        for q in range(p + 1):
            for d in range(layout.first[q], layout.first[q + 1]):
                right = weight[p, q] * layout.columns[d]
                for c in range(max(d, layout.first[p]), layout.first[p + 1]):
                    core[c, d] = inner(layout.columns[c], right)
                    core[d, c] = core[c, d]
    return core


@kernel
def _sparse(layout: Layout, weight: Array) -> Array:
    """Return the entries of the sparse part."""
    sparse = np.zeros(len(layout.row))
    m = 0
    for b in range(len(layout.block_size)):
        for a in range(b + 1):
            for i in range(weight.shape[2]):
                pair = layout.row_pair[i, m]
                if pair < 0:
                    continue
                u, v = _later_first(layout, a, b, i)
                w = weight[layout.block_predictor[u], layout.block_predictor[v], i]
                first, width = layout.pair_first[pair], layout.block_size[v]
                for j in range(layout.block_size[u]):
                    left = w * layout.values[i, layout.block_values[u] + j]
                    for k in range(j + 1 if a == b else width):
                        sparse[layout.position[first + j * width + k]] += left * layout.values[i, layout.block_values[v] + k]
            m += 1
    return sparse


@kernel
def _later_first(layout: Layout, a: int, b: int, i: int) -> tuple[int, int]:
    """Return two blocks, first the one whose node in pattern i is eliminated later."""
    return (b, a) if layout.coordinate[b, i] >= layout.coordinate[a, i] else (a, b)


@kernel
def _cross(layout: Layout, weight: Array) -> Array:
    """Return the sparse part by the core; zeros for blocks that the transport does not couple with others."""
    cross = np.zeros((len(layout.start) - 1, len(layout.columns)))
    for b in range(len(layout.block_size)):
        if not layout.block_coupled[b]:
            continue
        p, column = layout.block_predictor[b], layout.block_values[b]
        for i in range(weight.shape[2]):
            at = layout.coordinate[b, i]
            if at < 0:
                continue
            for j in range(layout.block_size[b]):
                left = layout.values[i, column + j]
                for q in range(weight.shape[0]):
                    w = weight[p, q, i] * left
                    for c in range(layout.first[q], layout.first[q + 1]):
                        cross[at + j, c] += w * layout.columns[c, i]
    return cross


@kernel
def curvature_back(layout: Layout, gradient: Matrix, predicted: int) -> Array:
    """Return the gradient in W, shape (P, P, pattern), given the one in the lower entries of H."""
    out = np.zeros((predicted, predicted, layout.columns.shape[1]))
    _core_back(layout, gradient.core, out)
    _sparse_back(layout, gradient.sparse, out)
    _cross_back(layout, gradient.cross, out)
    _own_back(layout, gradient.sparse, out)
    return out


@kernel
def _own_back(layout: Layout, d_sparse: Array, out: Array) -> None:
    for j in range(len(layout.own_place)):
        p, slope = layout.own_predictor[j], d_sparse[layout.start[layout.own_place[j]]]
        for i in range(out.shape[2]):
            out[p, p, i] += slope * layout.own_columns[j, i] ** 2


@kernel
def _core_back(layout: Layout, d_core: Array, out: Array) -> None:
    for p in range(len(out)):
        for q in range(p + 1):
            for i in range(out.shape[2]):
                total = 0.0
                for c in range(layout.first[p], layout.first[p + 1]):
                    inner = 0.0
                    for d in range(layout.first[q], min(c + 1, layout.first[q + 1])):
                        inner += d_core[c, d] * layout.columns[d, i]
                    total += inner * layout.columns[c, i]
                out[p, q, i] += total


@kernel
def _sparse_back(layout: Layout, d_sparse: Array, out: Array) -> None:
    m = 0
    for b in range(len(layout.block_size)):
        for a in range(b + 1):
            for i in range(out.shape[2]):
                pair = layout.row_pair[i, m]
                if pair < 0:
                    continue
                u, v = _later_first(layout, a, b, i)
                first, width, column = layout.pair_first[pair], layout.block_size[v], layout.block_values[v]
                total = 0.0
                for j in range(layout.block_size[u]):
                    left = layout.values[i, layout.block_values[u] + j]
                    for k in range(j + 1 if a == b else width):
                        total += d_sparse[layout.position[first + j * width + k]] * left * layout.values[i, column + k]
                out[layout.block_predictor[u], layout.block_predictor[v], i] += total
            m += 1


@kernel
def _cross_back(layout: Layout, d_cross: Array, out: Array) -> None:
    for b in range(len(layout.block_size)):
        if not layout.block_coupled[b]:
            continue
        p, column = layout.block_predictor[b], layout.block_values[b]
        for i in range(out.shape[2]):
            at = layout.coordinate[b, i]
            if at < 0:
                continue
            for j in range(layout.block_size[b]):
                left = layout.values[i, column + j]
                for q in range(len(out)):
                    total = 0.0
                    for c in range(layout.first[q], layout.first[q + 1]):
                        total += d_cross[at + j, c] * layout.columns[c, i]
                    out[p, q, i] += left * total
