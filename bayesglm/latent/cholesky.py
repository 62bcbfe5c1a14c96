"""Cholesky: the sparse factor P = L L' with its solves, and the way back from a gradient in L to one in P.

P has a sparse part, which is eliminated first in a fill-reducing order, and a dense core of few coordinates:

    P = [ P_ss  P_sc ]      L = [ L_ss   0  ]      L_ss L_ss' = P_ss,   E = L_ss^-1 P_sc,   R R' = P_cc - E' E
        [ P_cs  P_cc ]          [  E'    R  ]

The pattern of L_ss is found once (`analyse`); every entry that an elimination changes is known by its number, so that the numeric
factor is a straight line of multiplications, and the derivative is the same line walked backwards. One grouping factor has no
entries beside its own blocks: an arrow, linear in the levels.

Source: Davis (2006), Direct Methods for Sparse Linear Systems, chapter 4; Smith (1995), Journal of Computational and Graphical
Statistics 4, 134, for the derivative.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numba import njit
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class Pattern(NamedTuple):
    """The pattern of L_ss by columns, in the order of elimination.

    Attributes
    ----------
    start : int array, shape (size + 1,)
        Where each column begins.
    row : int array, shape (entries,)
        Row of each entry, ascending within a column, the diagonal first.
    target : int array
        For every pair of entries below a diagonal, the entry that their product is taken from.
    """

    start: Index
    row: Index
    target: Index


def eliminate(adjacent: sp.csc_array) -> tuple[Index, list[Index]]:
    """Return a fill-reducing order of nodes, and for each node in that order the later nodes that its column of L reaches.

    Parameters
    ----------
    adjacent : sparse array, shape (node, node)
        Symmetric, nonzero where P couples two nodes.

    Examples
    --------
    >>> order, below = eliminate(sp.csc_array(np.eye(3)))
    >>> [each.tolist() for each in below]
    [[], [], []]
    """
    nodes = adjacent.shape[0]
    couplings = sp.coo_array(adjacent)
    apart = couplings.row != couplings.col
    if not apart.any():
        return np.arange(nodes), [np.empty(0, np.int64)] * nodes
    # Values that make the matrix positive definite; only the pattern matters.
    ones = sp.csc_array((np.full(int(apart.sum()), -1.0), (couplings.row[apart], couplings.col[apart])), shape=adjacent.shape)
    definite = sp.csc_array(ones + sp.diags_array(np.asarray(-ones.sum(axis=1)) + 1.0))
    factor = splu(definite, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    order = np.argsort(factor.perm_c).astype(np.int64)
    place = np.argsort(order)
    permuted = sp.csc_array((np.ones(int(apart.sum())), (place[couplings.row[apart]], place[couplings.col[apart]])),
                            shape=adjacent.shape)
    below: list[Index] = []
    children: list[list[int]] = [[] for _ in range(nodes)]
    for j in range(nodes):
        own = permuted.indices[permuted.indptr[j]:permuted.indptr[j + 1]].astype(np.int64)
        parts = [own[own > j], *(below[child][1:] for child in children[j])]
        reached = np.unique(np.concatenate(parts))
        below.append(reached)
        if reached.size:
            children[int(reached[0])].append(j)
    return order, below


def analyse(below: list[Index], sizes: Index) -> tuple[Index, Pattern]:
    """Return where each node begins, and the pattern of L_ss, for nodes of so many coordinates each.

    Parameters
    ----------
    below : list of int array
        From `eliminate`.
    sizes : int array, shape (node,)
        Number of coordinates of each node, in the order of elimination.
    """
    begin = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    reach = np.array([int(sizes[each].sum()) for each in below], np.int64) if len(below) else np.zeros(0, np.int64)
    lengths = np.concatenate([np.arange(size, 0, -1) + more for size, more in zip(sizes, reach, strict=True)]
                             ) if len(below) else np.zeros(0, np.int64)
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    later = np.concatenate(below) if below else np.empty(0, np.int64)
    rows = _rows(begin, np.asarray(sizes, np.int64), np.concatenate([[0], np.cumsum([len(each) for each in below])]).astype(np.int64),
                 later.astype(np.int64), start)
    return begin[:-1], Pattern(start, rows, _targets(start, rows))


@njit(cache=True, nogil=True)
def _rows(begin, sizes, first, later, start):
    rows = np.empty(start[-1], np.int64)
    at = 0
    for node in range(len(sizes)):
        for a in range(sizes[node]):
            for b in range(a, sizes[node]):
                rows[at] = begin[node] + b
                at += 1
            for m in range(first[node], first[node + 1]):
                for b in range(sizes[later[m]]):
                    rows[at] = begin[later[m]] + b
                    at += 1
    return rows


@njit(cache=True, nogil=True)
def _targets(start, row):
    size = len(start) - 1
    count = 0
    for j in range(size):
        m = start[j + 1] - start[j] - 1
        count += m * (m + 1) // 2
    target = np.empty(count, np.int64)
    at = 0
    for j in range(size):
        for q in range(start[j] + 1, start[j + 1]):
            k = start[row[q]]
            for p in range(q, start[j + 1]):
                while row[k] != row[p]:
                    k += 1
                target[at] = k
                at += 1
    return target


def entry(pattern: Pattern, row: Index, column: Index) -> Index:
    """Return the number of each entry (row, column), row >= column, of L_ss."""
    return _entries(pattern.start, pattern.row, np.asarray(row, np.int64), np.asarray(column, np.int64))


@njit(cache=True, nogil=True)
def _entries(start, row, wanted, column):
    found = np.empty(len(wanted), np.int64)
    for i in range(len(wanted)):
        low, high = start[column[i]], start[column[i] + 1]
        found[i] = low + np.searchsorted(row[low:high], wanted[i])
    return found


@njit(cache=True, nogil=True)
def factor(start, row, target, sparse, cross, core):
    """Overwrite P (lower entries, cross, core) by L (entries, E, R); False where P is not positive definite."""
    size, wide = cross.shape
    at = 0
    for j in range(size):
        first, end = start[j], start[j + 1]
        if not sparse[first] > 0.0:
            return False
        pivot = np.sqrt(sparse[first])
        sparse[first] = pivot
        inverse = 1.0 / pivot
        for p in range(first + 1, end):
            sparse[p] *= inverse
        for q in range(first + 1, end):
            value = sparse[q]
            for p in range(q, end):
                sparse[target[at]] -= sparse[p] * value
                at += 1
        for c in range(wide):
            cross[j, c] *= inverse
        for p in range(first + 1, end):
            value = sparse[p]
            i = row[p]
            for c in range(wide):
                cross[i, c] -= value * cross[j, c]
    for j in range(size):
        for c in range(wide):
            value = cross[j, c]
            for d in range(c + 1):
                core[c, d] -= value * cross[j, d]
    return _dense_factor(core)


@njit(cache=True, nogil=True)
def _dense_factor(core):
    wide = core.shape[0]
    for c in range(wide):
        for d in range(c + 1):
            total = core[c, d]
            for k in range(d):
                total -= core[c, k] * core[d, k]
            if c == d:
                if not total > 0.0:
                    return False
                core[c, c] = np.sqrt(total)
            else:
                core[c, d] = total / core[d, d]
        for d in range(c + 1, wide):
            core[c, d] = 0.0
    return True


@njit(cache=True, nogil=True)
def solve_lower(start, row, sparse, cross, core, x, y):
    """Overwrite (x, y) by L^-1 (x, y): x sparse, y core."""
    size, wide = cross.shape
    for j in range(size):
        value = x[j] / sparse[start[j]]
        x[j] = value
        for p in range(start[j] + 1, start[j + 1]):
            x[row[p]] -= sparse[p] * value
        for c in range(wide):
            y[c] -= cross[j, c] * value
    for c in range(wide):
        for k in range(c):
            y[c] -= core[c, k] * y[k]
        y[c] /= core[c, c]


@njit(cache=True, nogil=True)
def solve_upper(start, row, sparse, cross, core, x, y):
    """Overwrite (x, y) by L^-T (x, y): x sparse, y core."""
    size, wide = cross.shape
    for c in range(wide - 1, -1, -1):
        y[c] /= core[c, c]
        for k in range(c):
            y[k] -= core[c, k] * y[c]
    for j in range(size - 1, -1, -1):
        value = x[j]
        for c in range(wide):
            value -= cross[j, c] * y[c]
        for p in range(start[j] + 1, start[j + 1]):
            value -= sparse[p] * x[row[p]]
        x[j] = value / sparse[start[j]]


@njit(cache=True, nogil=True)
def factor_back(start, row, target, sparse, cross, core, d_sparse, d_cross, d_core):
    """Overwrite the gradient in (L_ss, E, R) by the one in the lower entries of P.

    A function of P is read as one of its lower entries, each standing for both places of P; so is the gradient.
    """
    size, wide = cross.shape
    for c in range(wide - 1, -1, -1):
        for d in range(c, -1, -1):
            if c == d:
                slope = d_core[c, c] / (2.0 * core[c, c])
                d_core[c, c] = slope
                for k in range(c):
                    d_core[c, k] -= 2.0 * slope * core[c, k]
            else:
                slope = d_core[c, d] / core[d, d]
                d_core[d, d] -= slope * core[c, d]
                d_core[c, d] = slope
                for k in range(d):
                    d_core[c, k] -= slope * core[d, k]
                    d_core[d, k] -= slope * core[c, k]
    for j in range(size):
        for c in range(wide):
            slope = 0.0
            for d in range(c):
                slope += d_core[c, d] * cross[j, d]
            for d in range(c + 1, wide):
                slope += d_core[d, c] * cross[j, d]
            d_cross[j, c] -= slope + 2.0 * d_core[c, c] * cross[j, c]
    at = len(target)
    for j in range(size - 1, -1, -1):
        first, end = start[j], start[j + 1]
        for p in range(first + 1, end):
            i, value, slope = row[p], sparse[p], 0.0
            for c in range(wide):
                slope += d_cross[i, c] * cross[j, c]
                d_cross[j, c] -= value * d_cross[i, c]
            d_sparse[p] -= slope
        m = end - first - 1
        at -= m * (m + 1) // 2
        t = at
        for q in range(first + 1, end):
            value, slope = sparse[q], 0.0
            for p in range(q, end):
                back = d_sparse[target[t]]
                d_sparse[p] -= back * value
                slope -= back * sparse[p]
                t += 1
            d_sparse[q] += slope
        inverse = 1.0 / sparse[first]
        pivot = d_sparse[first]
        for p in range(first + 1, end):
            d_sparse[p] *= inverse
            pivot -= d_sparse[p] * sparse[p]
        for c in range(wide):
            d_cross[j, c] *= inverse
            pivot -= d_cross[j, c] * cross[j, c]
        d_sparse[first] = pivot * 0.5 * inverse
