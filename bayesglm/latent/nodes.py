"""Nodes: levels of groups and nodes of paths in the order of elimination, and where all that is written stands in the factor.

A node holds the effects of one level. Two nodes are coupled where a row reads both, or where they are neighbours on a path.
Last come nodes that are functions of others: the mean of a walk, and the slope of one of order 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import spsolve_triangular

from bayesglm.latent.elimination import Pattern, analyse, eliminate, entry, products, starts
from bayesglm.terms.term import Block, Path

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
    pair_stretch: Index
    position: Index
    row_pair: Index
    band_row: Index
    band_column: Index
    band_entry: Index
    band_value: Array
    band_kind: Index
    band_theta: Index
    band_stretch: Index
    start: Index
    row: Index
    column: Index
    target: Index
    last: Index
    tie_first: Index
    tie_last: Index
    tie_place: Index
    tie_value: Array


class Tied(NamedTuple):
    """What a node is that is tied to a path: node + sum share y = 0.

    Attributes
    ----------
    to : int
        Which kind of nodes the paths are; ``path`` says how they follow each other.
    share : array, shape (nodes - order,)
        What each node of the path that is not anchored counts.
    """

    to: int
    share: Array


class Alike(NamedTuple):
    """Nodes alike: the levels of a block, the levels of its paths, or coefficients with scales of their own.

    Attributes
    ----------
    number, effects : int
        Number of nodes, and coordinates of each.
    level : int array, shape (rows,), or None
        Which node each row reads, -1 for none; None if each row reads them all.
    path : Path, optional
        How they follow each other; independent of each other without.
    rho : int
        Which theta is their autocorrelation, -1 for none.
    tied : Tied, optional
        Where each is a function of the nodes of a path; such nodes come last.
    """

    number: int
    effects: int
    level: Index | None
    path: Path | None = None
    rho: int = -1
    tied: Tied | None = None


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


def nodes_of(kinds: Sequence[Alike], rows: int) -> tuple[Nodes, list[Index]]:
    """Order the nodes, find the pattern of the factor, and number every entry that is ever written.

    Parameters
    ----------
    kinds : sequence of Alike
        The nodes; those that each row reads one of come first.
    rows : int
        Number of covariate patterns.

    Returns
    -------
    nodes : Nodes
        The arrays.
    coordinates : list of int array, shape (nodes, effects)
        For each kind the coordinate of each effect of each node.
    """
    counts, effects = (np.array(each, np.int64) for each in ([kind.number for kind in kinds], [kind.effects for kind in kinds]))
    base = starts(counts)
    kind_of = np.repeat(np.arange(len(kinds)), counts).astype(np.int64)
    sizes, last = effects[kind_of], np.repeat(np.array([kind.tied is not None for kind in kinds], np.bool_), counts)
    levels = [kind.level for kind in kinds if kind.level is not None]
    node = np.full((len(levels), rows), -1, np.int64)
    for b, level in enumerate(levels):
        node[b] = np.where(level >= 0, base[b] + level, -1)
    bands = [_band(kind, int(begin), base) for kind, begin in zip(kinds, base[:-1], strict=True)]
    coupled = _coupled(node)
    order, below = eliminate(_adjacent(len(sizes), coupled.pairs, bands), last)
    known = np.ones(len(levels), np.int64)
    if products(below, sizes[order]) > MOST_PRODUCTS:
        known = (np.arange(len(levels)) == np.argmax((counts * effects)[:len(levels)])).astype(np.int64)
        coupled = _within(coupled, kind_of)
        order, below = eliminate(_adjacent(len(sizes), coupled.pairs, bands), last)
    begin, pattern = analyse(below, sizes[order])
    first = begin[np.argsort(order)]
    coordinates = [first[low:high, None] + np.arange(size)
                   for size, low, high in zip(effects.tolist(), base[:-1], base[1:], strict=True)]
    arrays: dict[str, Any] = {
        **_positions(coupled.pairs, kind_of, sizes, first, pattern),
        **_entries(bands, first, effects, [kind.rho for kind in kinds], pattern), **pattern._asdict(),
        **_ties(kinds, coordinates),
    }
    coordinate = np.where(node >= 0, first[np.maximum(node, 0)], -1)
    of_block = kind_of[order] < len(levels)
    return Nodes(coordinate, known, begin[of_block], kind_of[order][of_block], row_pair=coupled.row_pair, **arrays), coordinates


def live(block: Block) -> Index:
    """Return the number of each level of a block among those that are not anchored, -1 where a walk is, shape (levels,)."""
    path = block.path
    if path is None or not path.order:
        return np.arange(len(block.levels), dtype=np.int64)
    places = np.full((path.paths, path.nodes), -1, np.int64)
    free = path.nodes - path.order
    places[:, path.order:] = np.arange(path.paths * free).reshape(path.paths, free)
    return places.ravel()


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


def _band(kind: Alike, begin: int, base: Index) -> _Band:
    """Return K: the identity between levels, C' C along a path.

    A node l = -share' y needs no prior, but may have any that says nothing where it is tied: e (l^2 + l share' y). With 1 / e the
    prior variance of share' y, K is positive definite.
    """
    path, levels = kind.path, begin + np.arange(kind.number, dtype=np.int64)
    if path is None:
        return _Band(levels, levels, np.ones(len(levels)), np.full(len(levels), CONSTANT))
    if kind.tied is not None:
        innovations = spsolve_triangular(sp.csr_array(_differences(path).T), kind.tied.share, lower=False)
        e, free = 1.0 / float(innovations @ innovations), len(kind.tied.share)
        nodes = base[kind.tied.to] + np.arange(path.paths * free)
        value = np.concatenate([np.full(path.paths, e), np.tile(e / 2 * kind.tied.share, path.paths)])
        return _Band(np.concatenate([levels, np.repeat(levels, free)]), np.concatenate([levels, nodes]), value,
                     np.full(len(value), CONSTANT))
    if path.order:
        step = _differences(path)
        lower = sp.coo_array(sp.kron(sp.eye_array(path.paths), sp.tril(step.T @ step)))
        return _Band(levels[lower.row], levels[lower.col], lower.data, np.full(lower.nnz, CONSTANT))
    node = np.arange(len(levels)) % path.nodes
    inner, later = levels[(node > 0) & (node < path.nodes - 1)], levels[node > 0]
    return _Band(np.concatenate([levels, inner, later]), np.concatenate([levels, inner, later - 1]),
                 np.ones(len(levels) + len(inner) + len(later)),
                 np.repeat([STATIONARY, INTERIOR, BESIDE], [len(levels), len(inner), len(later)]))


def _differences(path: Path) -> sp.csc_array:
    """Return C of one walk: innovations = C y."""
    weights, free = {1: (1.0, -1.0), 2: (1.0, -2.0, 1.0)}[path.order], path.nodes - path.order
    return sp.csc_array(sp.diags_array(weights, offsets=[-k for k in range(path.order + 1)], shape=(free, free)))


def _ties(kinds: Sequence[Alike], coordinates: Sequence[Index]) -> dict[str, Array | Index]:
    """Return where the entries of each tie begin and end, their coordinates and values."""
    places, values = [_NONE], [np.zeros(0)]
    for kind in kinds:
        if kind.tied is not None:
            places.append(coordinates[kind.tied.to][:, 0])
            values.append(np.tile(kind.tied.share, kind.number))
    lengths = [len(kind.tied.share) for kind in kinds if kind.tied is not None for _ in range(kind.number)]
    ends = starts(np.array(lengths, np.int64))
    return {"tie_first": ends[:-1], "tie_last": ends[1:], "tie_place": np.concatenate(places),
            "tie_value": np.concatenate(values)}


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
    rows, columns = block_of[later], block_of[earlier]
    return {"pair_row": rows, "pair_column": columns, "position": position, "pair_first": begin[:-1],
            "pair_begin": np.stack([first[later], first[earlier]], axis=1), "pair_stretch": _stretches(np.stack([rows, columns]))}


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
    alike = np.stack([theta, kind, row != column])
    order = np.lexsort([row, *alike])
    found = {"band_row": row, "band_column": column, "band_entry": entry(pattern, row, column), "band_value": value,
             "band_kind": kind, "band_theta": theta}
    return {**{name: each[order] for name, each in found.items()}, "band_stretch": _stretches(alike[:, order])}


def _stretches(alike: Index) -> Index:
    """Return where entries with the same numbers begin, and last where all end, from an array of shape (number, entry)."""
    changes = np.flatnonzero((np.diff(alike) != 0).any(axis=0)) + 1
    return np.unique(np.concatenate([[0], changes, [alike.shape[1]]])).astype(np.int64)
