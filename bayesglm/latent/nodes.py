"""Nodes: levels of groups and nodes of paths in the order of elimination, and where all that is written stands in the factor.

A node holds the effects of one level. Two nodes are coupled where a row reads both, or where they are neighbours on a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bayesglm.latent.cholesky import Pattern, analyse, eliminate, entry, products, starts
from bayesglm.terms.term import Block

Array = NDArray[np.float64]
Index = NDArray[np.int64]
# An elimination with more products than this costs more than the likelihood; couplings between factors are left out then.
MOST_PRODUCTS = 8_000_000
# What an entry of K is multiplied by: 1, 1 / (1 - rho^2), rho^2 / (1 - rho^2), -rho / (1 - rho^2).
CONSTANT, STATIONARY, INTERIOR, BESIDE = 0, 1, 2, 3
_NONE = np.zeros(0, np.int64)


class Nodes(NamedTuple):
    """The sparse part of the field; the fields are those of `bayesglm.latent.layout.Layout`, where they are described."""

    coordinate: Index
    block_coupled: Index
    node_begin: Index
    node_block: Index
    pair_row: Index
    pair_column: Index
    pair_begin: Index
    pair_first: Index
    position: Index
    row_pair: Index
    band_row: Index
    band_column: Index
    band_entry: Index
    band_value: Array
    band_kind: Index
    band_theta: Index
    start: Index
    row: Index
    target: Index


class _Band(NamedTuple):
    """Entries of K of one block between its nodes, one of each symmetric pair."""

    row: Index
    column: Index
    value: Array
    kind: Index


class _Coupled(NamedTuple):
    """Pairs of nodes that are read together, and the pair that each row reads for each two blocks, -1 for none."""

    pairs: Index
    row_pair: Index


def nodes_of(blocks: Sequence[Block], levels: Sequence[Index], rho: Sequence[int], rows: int) -> tuple[Nodes, list[Index]]:
    """Order the nodes, find the pattern of the factor, and number every entry that is ever written.

    Parameters
    ----------
    blocks : sequence of Block
        The blocks of the sparse part.
    levels : sequence of int array, shape (rows,)
        For each block, the level that each row reads.
    rho : sequence of int
        Which theta is the autocorrelation of each block, -1 for none.
    rows : int
        Number of covariate patterns.

    Returns
    -------
    nodes : Nodes
        The arrays.
    coordinates : list of int array, shape (levels, effects)
        For each block the coordinate of each effect of each level, -1 where a walk is anchored.
    """
    anchored = [block.path.order if block.path else 0 for block in blocks]
    counts = np.array([len(block.levels) - skip for block, skip in zip(blocks, anchored, strict=True)], np.int64)
    effects = np.array([len(block.effects) for block in blocks], np.int64)
    base = starts(counts)
    block_of = np.repeat(np.arange(len(blocks)), counts).astype(np.int64)
    sizes = effects[block_of]
    node = np.full((len(blocks), rows), -1, np.int64)
    for b, level in enumerate(levels):
        later = level.astype(np.int64) - anchored[b]
        node[b] = np.where(later >= 0, base[b] + later, -1)
    bands = [_band(block, int(begin)) for block, begin in zip(blocks, base[:-1], strict=True)]
    coupled = _coupled(node)
    order, below = eliminate(_adjacent(len(sizes), coupled.pairs, bands))
    known = np.ones(len(blocks), np.int64)
    if products(below, sizes[order]) > MOST_PRODUCTS:
        known = (np.arange(len(blocks)) == np.argmax(counts * effects)).astype(np.int64)
        coupled = _within(coupled, block_of)
        order, below = eliminate(_adjacent(len(sizes), coupled.pairs, bands))
    begin, pattern = analyse(below, sizes[order])
    first = begin[np.argsort(order)]
    coordinates = [np.concatenate([np.full((skip, size), -1, np.int64), first[low:high, None] + np.arange(size)])
                   for skip, size, low, high in zip(anchored, effects.tolist(), base[:-1], base[1:], strict=True)]
    arrays: dict[str, Any] = {
        **_positions(coupled.pairs, block_of, sizes, first, pattern), **_entries(bands, first, effects, rho, pattern),
        **pattern._asdict(),
    }
    coordinate = np.where(node >= 0, first[np.maximum(node, 0)], -1)
    return Nodes(coordinate, known, begin, block_of[order], row_pair=coupled.row_pair, **arrays), coordinates


def _coupled(node: Index) -> _Coupled:
    """Find the distinct pairs of nodes that a row reads together, for blocks a <= b in the order of `Layout.row_pair`."""
    blocks, rows = node.shape
    found: list[Index] = []
    row_pair = np.full((rows, blocks * (blocks + 1) // 2), -1, np.int64)
    code, total = int(node.max(initial=0)) + 1, 0
    both = [(first, second) for second in range(blocks) for first in range(second + 1)]
    for column, (a, b) in enumerate(both):
        together = np.flatnonzero((node[a] >= 0) & (node[b] >= 0))
        distinct, inverse = np.unique(node[a][together] * code + node[b][together], return_inverse=True)
        row_pair[together, column] = total + inverse.reshape(-1)
        found.append(np.stack(np.divmod(distinct, code), axis=1))
        total += len(distinct)
    return _Coupled(np.concatenate([np.zeros((0, 2), np.int64), *found]), row_pair)


def _within(coupled: _Coupled, block_of: Index) -> _Coupled:
    """Keep the pairs within one block."""
    pairs, row_pair = coupled
    kept = block_of[pairs[:, 0]] == block_of[pairs[:, 1]]
    renumbered = np.where(kept, np.cumsum(kept) - 1, -1)
    return _Coupled(pairs[kept], np.where(row_pair >= 0, renumbered[row_pair], -1))


def _band(block: Block, base: int) -> _Band:
    """Return K: the identity between levels, C' C along a path."""
    path = block.path
    levels = base + np.arange(len(block.levels) - (path.order if path else 0), dtype=np.int64)
    if path is None:
        return _Band(levels, levels, np.ones(len(levels)), np.full(len(levels), CONSTANT))
    if path.order:
        weights = {1: (1.0, -1.0), 2: (1.0, -2.0, 1.0)}[path.order]
        step = sp.diags_array(weights, offsets=[-k for k in range(path.order + 1)], shape=(len(levels), len(levels)))
        lower = sp.coo_array(sp.tril(sp.csc_array(step.T @ step)))
        return _Band(levels[lower.row], levels[lower.col], lower.data, np.full(lower.nnz, CONSTANT))
    node = np.arange(len(levels)) % path.nodes
    inner, later = levels[(node > 0) & (node < path.nodes - 1)], levels[node > 0]
    return _Band(np.concatenate([levels, inner, later]), np.concatenate([levels, inner, later - 1]),
                 np.ones(len(levels) + len(inner) + len(later)),
                 np.repeat([STATIONARY, INTERIOR, BESIDE], [len(levels), len(inner), len(later)]))


def _adjacent(nodes: int, pairs: Index, bands: Sequence[_Band]) -> sp.csc_array:
    """Return which nodes P couples, symmetric."""
    rows = np.concatenate([pairs[:, 0], *(band.row for band in bands)])
    columns = np.concatenate([pairs[:, 1], *(band.column for band in bands)])
    both = np.concatenate([rows, columns]), np.concatenate([columns, rows])
    return sp.csc_array((np.ones(2 * len(rows)), both), shape=(nodes, nodes))


def _positions(
    pairs: Index, block_of: Index, sizes: Index, first: Index, pattern: Pattern,
) -> dict[str, Index]:
    """Return both blocks of each pair, the later node first, where both begin, and the entry of every (effect, effect)."""
    swapped = first[pairs[:, 0]] < first[pairs[:, 1]]
    later, earlier = np.where(swapped, pairs[:, 1], pairs[:, 0]), np.where(swapped, pairs[:, 0], pairs[:, 1])
    entries = sizes[later] * sizes[earlier]
    begin = starts(entries)
    within = np.arange(begin[-1]) - np.repeat(begin[:-1], entries)
    width = np.repeat(sizes[earlier], entries)
    row = np.repeat(first[later], entries) + within // width
    column = np.repeat(first[earlier], entries) + within % width
    position = entry(pattern, np.maximum(row, column), np.minimum(row, column))
    return {"pair_row": block_of[later], "pair_column": block_of[earlier], "position": position, "pair_first": begin[:-1],
            "pair_begin": np.stack([first[later], first[earlier]], axis=1)}


def _entries(
    bands: Sequence[_Band], first: Index, effects: Index, rho: Sequence[int], pattern: Pattern,
) -> dict[str, Array | Index]:
    """Spread the entries of K over the effects of each node."""
    spread = [np.arange(size) for size in effects]
    a = np.concatenate([_NONE, *((first[band.row][:, None] + each).ravel() for band, each in zip(bands, spread, strict=True))])
    b = np.concatenate([_NONE, *((first[band.column][:, None] + each).ravel() for band, each in zip(bands, spread, strict=True))])
    times = np.repeat(effects, [len(band.row) for band in bands])
    row, column = np.maximum(a, b), np.minimum(a, b)
    value = np.repeat(np.concatenate([np.zeros(0), *(band.value for band in bands)]), times)
    kind = np.repeat(np.concatenate([_NONE, *(band.kind for band in bands)]), times)
    theta = np.repeat(np.array(rho, np.int64), [len(band.row) * size for band, size in zip(bands, effects.tolist(), strict=True)])
    return {"band_row": row, "band_column": column, "band_entry": entry(pattern, row, column), "band_value": value,
            "band_kind": kind, "band_theta": theta}
