"""Elimination: the order in which nodes leave a sparse matrix, and the pattern of the factor that this leaves.

Both are found once. Every entry that the numeric factor (`bayesglm.latent.cholesky`) changes is known by its number.

Source: Davis (2006), Direct Methods for Sparse Linear Systems, chapters 4 and 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from bayesglm.latent.kernel import kernel
from bayesglm.latent.record import record

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class Columns(Protocol):
    """Anything that has the arrays of a `Pattern`."""

    @property
    def start(self) -> Index: ...  # noqa: D102
    @property
    def row(self) -> Index: ...  # noqa: D102
    @property
    def column(self) -> Index: ...  # noqa: D102
    @property
    def target(self) -> Index: ...  # noqa: D102
    @property
    def last(self) -> Index: ...  # noqa: D102


@record
class Pattern(NamedTuple):
    """The pattern of L_ss by columns, in the order of elimination.

    Attributes
    ----------
    start : int array, shape (S + 1,)
        Where each column begins.
    row : int array, shape (entries,)
        Row of each entry, ascending within a column, the diagonal first.
    column : int array, shape (entries,)
        Column of each entry.
    target : int array
        For every pair of entries below a diagonal, the entry that their product is taken from.
    last : int array, shape (first columns,)
        Where the entries in the last rows begin, of every column but the last ones: those are full, and nearly all products go to
        them, so that they are eliminated as a dense matrix. Products with places of their own leave these out.
    """

    start: Index
    row: Index
    column: Index
    target: Index
    last: Index


def starts(lengths: Index) -> Index:
    """Return where each of several stretches begins, and last where all end.

    Examples
    --------
    >>> starts(np.array([2, 3])).tolist()
    [0, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def eliminate(adjacent: sp.csc_array, last: NDArray[np.bool_] | None = None) -> tuple[Index, list[Index]]:
    """Return a fill-reducing order of nodes, and for each node in that order the later nodes that its column of L reaches.

    Parameters
    ----------
    adjacent : sparse array, shape (node, node)
        Symmetric, nonzero where P couples two nodes.
    last : bool array, shape (node,), optional
        Nodes that come behind all others, as they are numbered.

    Examples
    --------
    >>> order, below = eliminate(sp.csc_array(np.eye(3)))
    >>> [each.tolist() for each in below]
    [[], [], []]
    """
    nodes = adjacent.shape[0]
    couplings = sp.coo_array(adjacent)
    apart = couplings.row != couplings.col
    end = np.zeros(nodes, np.bool_) if last is None else last
    if not apart.any():
        return np.argsort(end, kind="stable").astype(np.int64), [np.empty(0, np.int64)] * nodes
    row, column = couplings.row[apart], couplings.col[apart]
    # Values that make the matrix positive definite; only the pattern matters.
    ones = sp.csc_array((np.full(len(row), -1.0), (row, column)), shape=adjacent.shape)
    definite = sp.csc_array(ones + sp.diags_array(np.asarray(-ones.sum(axis=1)) + 1.0))
    factored = splu(definite, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    order = np.argsort(factored.perm_c).astype(np.int64)
    order = np.concatenate([order[~end[order]], np.flatnonzero(end)])
    place = np.argsort(order)
    permuted = sp.csc_array((np.ones(len(row)), (place[row], place[column])), shape=adjacent.shape)
    below: list[Index] = []
    children: list[list[int]] = [[] for _ in range(nodes)]
    for j in range(nodes):
        own = permuted.indices[permuted.indptr[j]:permuted.indptr[j + 1]].astype(np.int64)
        reached = np.unique(np.concatenate([own[own > j], *(below[child][1:] for child in children[j])]))
        below.append(reached)
        if reached.size:
            children[int(reached[0])].append(j)
    return order, below


def products(below: Sequence[Index], sizes: Index) -> float:
    """Return how many products a numeric factor takes, for nodes of so many coordinates each, as in `analyse`.

    Examples
    --------
    >>> products([np.array([1]), np.array([], np.int64)], np.array([2, 1]))
    4.0
    """
    reach = np.array([sizes[each].sum() for each in below], np.float64)
    return float(sum(((reach + k) * (reach + k + 1) / 2 * (sizes > k)).sum() for k in range(int(sizes.max(initial=0)))))


def analyse(below: Sequence[Index], sizes: Index) -> tuple[Index, Pattern]:
    """Return where each node begins, and the pattern of L_ss, for nodes of so many coordinates each.

    Parameters
    ----------
    below : list of int array
        From `eliminate`.
    sizes : int array, shape (node,)
        Number of coordinates of each node, in the order of elimination.
    """
    begin = starts(sizes)
    # Of a node's columns, each is one shorter than the one before; below the node's own block they are all alike.
    lengths = [np.arange(size, 0, -1) + int(sizes[each].sum()) for size, each in zip(sizes.tolist(), below, strict=True)]
    start = starts(np.concatenate([np.zeros(0, np.int64), *lengths]))
    later = np.concatenate([np.zeros(0, np.int64), *below])
    first = starts(np.array([len(each) for each in below], np.int64))
    row = _rows(begin, sizes, first, later, start)
    return begin[:-1], Pattern(start, row, *_products(start, row))


def _products(start: Index, row: Index) -> tuple[Index, Index, Index]:
    """Return `column`, `target` and `last` of a pattern: the last columns are all that are full, or none."""
    size = len(start) - 1
    lengths = np.diff(start)
    first = size - int(np.cumprod(lengths[::-1] == np.arange(1, size + 1)).sum())
    column = np.repeat(np.arange(size), lengths)
    inside = np.bincount(column[(row >= first) & (row > column)], minlength=size)
    if not _worth(inside.astype(np.float64), size - first):
        first, inside = size, np.zeros(size, np.int64)
    last = (start[1:] - inside)[:first]
    return column, _targets(start, row, last), last


def _worth(products: Array, full: int) -> bool:
    """Return whether a dense matrix is faster, of which each column changes the square of so many rows.

    A product with a place of its own takes as long as eight in a row of a dense matrix; a row takes as long as two to begin.
    """
    return bool((products * (full / 8.0 + 2.0)).sum() < (products * (products + 1.0) / 2.0).sum())


@kernel
def _rows(begin: Index, sizes: Index, first: Index, later: Index, start: Index) -> Index:
    """Return the row of each entry: a node's own, then those of the later nodes that it reaches."""
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


@kernel
def _targets(start: Index, row: Index, last: Index) -> Index:
    """Return the entry (row of p, row of q), p >= q, for all q before the last rows and p in a column, column by column."""
    count = 0
    for j in range(len(last)):
        for q in range(start[j] + 1, last[j]):
            count += start[j + 1] - q
    target = np.empty(count, np.int64)
    at = 0
    for j in range(len(last)):
        for q in range(start[j] + 1, last[j]):
            k = start[row[q]]
            for p in range(q, start[j + 1]):
                while row[k] != row[p]:
                    k += 1
                target[at] = k
                at += 1
    return target


@kernel
def entry(pattern: Columns, row: Index, column: Index) -> Index:
    """Return the number of each entry (row, column), row >= column, of L_ss."""
    found = np.empty(len(row), np.int64)
    for i in range(len(row)):
        low, high = pattern.start[column[i]], pattern.start[column[i] + 1]
        found[i] = low + np.searchsorted(pattern.row[low:high], row[i])
    return found
