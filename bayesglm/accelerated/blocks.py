"""Blocks: a field and the reference of its transport in dense blocks, as accelerators like them.

Levels that no row couples, once the rest of the field is given, are **clusters**: the levels of the largest grouping factor, with
what shares them one to one, and coefficients with scales of their own, each by itself. Their precision is a batch of small
matrices. All else, other factors, paths and the core, is the **rest**, one dense matrix:

    P = [ diag(P_c)  P_cr ]      over clusters c = 1 ... K of k coordinates each, and d coordinates of the rest
        [ P_rc       P_rr ]

A cluster that has fewer coordinates than the widest is filled up with coordinates of precision 1 that are 0 and couple with
nothing. All of this is arithmetic on index arrays, done once for each model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from bayesglm.errors import EngineError
from bayesglm.latent.hyper import Hyper
from bayesglm.latent.layout import Layout
from bayesglm.latent.nodes import CONSTANT
from bayesglm.latent.ties import tie_matrix
from bayesglm.latent.transport import Reference

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Tensor = Any  # NumPy's where it is made, JAX's on the device
ZERO, HALF, ONE = 0, 1, 2  # places behind the last theta
WIDEST = 8  # coordinates of a cluster, unless one level has more by itself
# Coordinates of the rest, of which each evaluation takes a dense Cholesky factor; entries of P_cr and P_rr, 8 bytes each, of
# which the gradient holds several copies.
MOST_DENSE, MOST_ENTRIES = 4_000, 50_000_000
# What these blocks know of a layout; see `arrow_of`.
KNOWN = frozenset([
    "offset", "columns", "first", "core_theta", "block_predictor", "block_size", "block_values", "block_coupled", "values",
    "coordinate", "block_sd", "block_partial", "node_begin", "node_block", "pair_row", "pair_column", "pair_begin",
    "pair_first", "pair_stretch", "position", "row_pair", "band_row", "band_column", "band_entry", "band_value", "band_kind",
    "band_theta", "band_stretch", "rho_theta", "rho_steps", "shear_core", "shear_theta", "shear_place", "shear_value",
    "shear_stretch", "tie_first", "tie_last", "tie_place", "tie_value", "own_place", "own_predictor", "own_columns",
    "own_constant", "own_slab", "own_begin", "own_end", "own_theta", "own_power", "own_other", "other_core", "other_location",
    "other_scale", "other_density", "constant_theta", "start", "row", "column", "target", "last",
])


class Arrow(NamedTuple):
    """Which coordinates of the sparse part are in clusters.

    Attributes
    ----------
    clusters : int array, shape (K, k)
        Coordinates of each cluster, ascending; -1 where it has fewer.
    rest : int array, shape (D,)
        The others, ascending.
    """

    clusters: Index
    rest: Index


class Blocks(NamedTuple):
    """What compiled code reads: arrays only. d counts the rest and the core, n patterns, Q multipliers, B blocks of effects.

    Behind the last theta stand 0, 1/2 and 1, and behind the last coordinate and the last entry of the field a 0: an index of what
    is not there is one of these. Indices are unsigned, so that nothing on the device asks whether they are negative.
    """

    hyper: Hyper
    t: Tensor               # (theta,) at the mode
    turn: Tensor            # (theta, theta)
    offset: Tensor          # (P, n)
    columns: Tensor         # (C + A, n) of the core and of the A coefficients with scales of their own
    column_owner: Tensor    # (C + A, P) 1 where the predictor has the column
    values: Tensor          # (n, Q) multipliers
    value_owner: Tensor     # (Q, P)
    read: Tensor            # (n, Q) which entry of the field, clusters then rest, each multiplies
    pattern: Tensor         # (cell,)
    place_sparse: Tensor    # (S,) where each coordinate stands in the field, but for those that are tied
    place_core: Tensor      # (C,)
    place_column: Tensor    # (C + A,) and what each column is multiplied by
    field_at: Tensor        # (K k + d,) which coordinate, of sparse part and core, each entry of the field is
    block_theta: Tensor     # (B, m, 1 + m) which theta scales each effect i, then which are (1 + p_ij) / 2
    core_theta: Tensor      # (C,)
    own_factor: Tensor      # (K, k, k) Lambda over the clusters, by its entries: a 0, F of each block, scales of core and own
    row_factor: Tensor      # (widest, d) Lambda over the rest: entry (i, i - a) of each row i, for a = 0, 1, ...
    column_factor: Tensor   # (widest, d) entry (j + a, j) of each column j
    own_h: Tensor           # (K, k, k) curvature
    cross_h: Tensor         # (K, k, d)
    rest_h: Tensor          # (d, d)
    own_b: Tensor           # (K, k) pull of the data
    rest_b: Tensor          # (d,)
    own_d: Tensor           # (constants, K, k) how it moves with each constant
    rest_d: Tensor          # (constants, d)
    fixed: Tensor           # (d,) prior precision where it is fixed: 1 in the core
    in_sparse: Tensor       # (d,) 1 where K says it
    band_row: Tensor        # entries of K over the rest, both triangles
    band_column: Tensor
    band_value: Tensor
    band_kind: Tensor
    band_theta: Tensor
    own_constant: Tensor    # (A,) of the logarithm of a scale before the slab
    own_slab: Tensor        # (A,) which theta is the precision of the slab
    own_of: Tensor          # factors of these scales: of which, theta, its power and that of 1 - theta
    own_theta: Tensor
    own_power: Tensor
    own_other: Tensor
    tie_axis: Tensor        # (ties, d) 1 at the coordinate that is tied
    tie_values: Tensor      # (ties, d) A, with A w = 0
    rho_theta: Tensor
    rho_steps: Tensor
    shear_core: Tensor
    shear_theta: Tensor
    shear_place: Tensor     # in the field
    shear_value: Tensor
    other_core: Tensor
    other_location: Tensor
    other_scale: Tensor
    other_density: Tensor
    constant_theta: Tensor


def arrow_of(layout: Layout) -> Arrow:
    """Choose the clusters of a layout.

    The block without a path that has the most coordinates comes first, then every other whose levels can join without a cluster
    of more than `WIDEST` coordinates.

    Parameters
    ----------
    layout : Layout
        The field.

    Raises
    ------
    EngineError
        The layout has parts that dense blocks do not know, or the rest is too large for a dense matrix.
    """
    strange = [name for name in layout._fields if name not in KNOWN and getattr(layout, name).size]
    if strange:
        raise EngineError(f"the model has {', '.join(strange)}", value=strange[0],
                          rule="the density on JAX knows groups, curves, walks, autoregressions and coefficients",
                          fix="Use engine='nuts'.")
    nodes = nodes_of(layout)
    pairs, sizes = nodes.of[layout.pair_begin], np.bincount(nodes.of, minlength=len(nodes.block))
    coordinates = np.bincount(nodes.block, sizes, minlength=len(layout.block_size) + 1)
    # What no row couples with anything else in the transport comes first: coefficients with scales of their own.
    chosen = [len(layout.block_size)]
    labels = _labels(chosen, nodes.block, pairs)
    for block in sorted(_independent(layout, nodes), key=lambda b: (-coordinates[b], layout.block_size[b], b)):
        tried = _labels([*chosen, block], nodes.block, pairs)
        widest = np.bincount(tried[tried >= 0], sizes[tried >= 0]).max(initial=0.0)
        if len(chosen) == 1 or widest <= WIDEST:
            chosen, labels = [*chosen, block], tried
    arrow = _arrow(labels[nodes.of])
    _hold_to_limits(arrow, len(layout.columns))
    return arrow


class _Nodes(NamedTuple):
    """The nodes of the sparse part, those of coefficients with scales of their own last.

    Attributes
    ----------
    block : int array, shape (node,)
        Block of each; coefficients have the number behind the last.
    of, effect : int array, shape (S,)
        Node of each coordinate, and which effect of it the coordinate is.
    """

    block: Index
    of: Index
    effect: Index


def nodes_of(layout: Layout) -> _Nodes:
    """Return the nodes of a layout."""
    sizes, own = layout.block_size[layout.node_block], len(layout.own_place)
    of, effect = np.zeros(len(layout.start) - 1, np.int64), np.zeros(len(layout.start) - 1, np.int64)
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    at = np.repeat(layout.node_begin, sizes) + within
    of[at], effect[at] = np.repeat(np.arange(len(sizes)), sizes), within
    of[layout.own_place] = len(sizes) + np.arange(own)
    return _Nodes(np.concatenate([layout.node_block, np.full(own, len(layout.block_size))]), of, effect)


def _independent(layout: Layout, nodes: _Nodes) -> list[int]:
    """Return the blocks whose levels are independent a priori."""
    along = (layout.band_row != layout.band_column) | (layout.band_kind != CONSTANT) | (layout.band_value != 1.0)
    paths = set(nodes.block[nodes.of[layout.band_row[along]]].tolist())
    return [b for b in range(len(layout.block_size)) if b not in paths]


def _labels(blocks: Sequence[int], node_block: Index, pairs: Index) -> Index:
    """Return which cluster each node would be in, -1 for none, if these blocks were in clusters."""
    inside = np.isin(node_block, blocks)
    kept = pairs[inside[pairs].all(axis=1)]
    graph = sp.coo_array((np.ones(len(kept)), (kept[:, 0], kept[:, 1])), shape=(len(node_block),) * 2)
    return np.where(inside, connected_components(graph, directed=False)[1], -1)


def _arrow(label: Index) -> Arrow:
    """Return the arrow, given the cluster of each coordinate; without any, there is one that is all filling."""
    inside = np.flatnonzero(label >= 0)
    _, which, count = np.unique(label[inside], return_inverse=True, return_counts=True)
    order = np.argsort(which, kind="stable")
    clusters = np.full((max(1, len(count)), count.max(initial=1)), -1, np.int64)
    clusters[which[order], np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)] = inside[order]
    return Arrow(clusters[np.argsort(clusters[:, 0])], np.flatnonzero(label < 0))


def _hold_to_limits(arrow: Arrow, core: int) -> None:
    dense = len(arrow.rest) + core
    entries = dense * (arrow.clusters.size + dense)
    if dense > MOST_DENSE or entries > MOST_ENTRIES:
        raise EngineError(
            f"{dense:,} coordinates are left beside {arrow.clusters.size:,} of independent levels", value=dense,
            rule=f"the density on JAX has at most {MOST_DENSE:,} in its dense matrix, and {MOST_ENTRIES:,} numbers in all",
            fix="Use engine='nuts', whose matrices are sparse.")


def blocks_of(layout: Layout, hyper: Hyper, reference: Reference, pattern: Index) -> Blocks:
    """Put a field and its reference into dense blocks.

    Parameters
    ----------
    layout, hyper : Layout, Hyper
        The field.
    reference : Reference
        What the transport knows of the data.
    pattern : int array, shape (cell,)
        Covariate pattern of each cell.

    Raises
    ------
    EngineError
        See `arrow_of`.
    """
    arrow, size, wide = arrow_of(layout), len(layout.start) - 1, len(layout.columns)
    free = size - len(layout.tie_first)
    rest_at = np.concatenate([arrow.rest, size + np.arange(wide)]) if len(arrow.rest) + wide else np.array([-1])
    field = np.concatenate([arrow.clusters.ravel(), rest_at])
    place = np.zeros(size + wide, np.int64)
    place[field[field >= 0]] = np.flatnonzero(field >= 0)
    predicted, thetas = np.arange(len(layout.offset)), hyper.size
    found = Blocks(
        hyper=hyper, t=reference.t, turn=reference.turn, offset=layout.offset,
        columns=np.concatenate([layout.columns, layout.own_columns]),
        column_owner=_owner(np.concatenate([np.repeat(predicted, np.diff(layout.first)), layout.own_predictor]), predicted),
        values=layout.values, value_owner=_owner(np.repeat(layout.block_predictor, layout.block_size), predicted),
        read=_read(layout, place, len(field)), pattern=pattern, place_sparse=place[:free], place_core=place[size:],
        place_column=place[np.concatenate([size + np.arange(wide), layout.own_place])],
        field_at=_coordinates(field, free, size, wide), constant_theta=layout.constant_theta,
        block_theta=np.concatenate([layout.block_sd[:, :, None], _or(_partials(layout), thetas + HALF)], axis=2),
        core_theta=_or(layout.core_theta, thetas + ONE), shear_place=place[layout.shear_place],
        **_factors(layout, arrow, rest_at), **_curvature(layout, reference, arrow.clusters, rest_at),
        **_priors(layout, rest_at, size, thetas), **_own_scales(layout, thetas), **_ties(layout, rest_at),
    )
    indices: dict[str, Any] = {name: each.astype(np.uint32) for name, each in found._asdict().items()
                               if isinstance(each, np.ndarray) and each.dtype.kind == "i"}
    return found._replace(**indices)


def _coordinates(field: Index, free: int, size: int, wide: int) -> Index:
    """Return which coordinate, of free sparse part and core, each entry of the field is; one behind them if tied or not there."""
    tied_or_none = (field < 0) | ((field >= free) & (field < size))
    return np.where(tied_or_none, free + wide, np.where(field >= size, field - (size - free), field))


def _ties(layout: Layout, rest_at: Index) -> dict[str, Array]:
    """Return which coordinates of the rest are tied, and to what; paths are never in clusters, so the ties are all here."""
    ties, size = len(layout.tie_first), len(layout.start) - 1
    values = np.concatenate([tie_matrix(layout), np.zeros((ties, len(layout.columns) + 1))], axis=1)[:, rest_at]
    return {"tie_axis": np.asarray(rest_at == (size - ties + np.arange(ties))[:, None], np.float64), "tie_values": values}


def _or(at: Index, otherwise: int) -> Index:
    """Return indices with another one in the place of -1."""
    return np.where(at >= 0, at, otherwise)


def _owner(of: Index, predicted: Index) -> Array:
    return np.asarray(of[:, None] == predicted, np.float64)


def _read(layout: Layout, place: Index, nothing: int) -> Index:
    """Return which entry of the field each multiplier of each pattern reads."""
    found = [np.where(at >= 0, place[at + effect], nothing)
             for at, effects in zip(layout.coordinate, layout.block_size, strict=True) for effect in range(effects)]
    return np.array(found, np.int64).reshape(len(found), layout.offset.shape[1]).T.copy()


def _partials(layout: Layout) -> Index:
    """Return which theta is (1 + p_ij) / 2 of each block, i > j: below the diagonal, column by column."""
    blocks, widest = layout.block_sd.shape
    found = np.full((blocks, widest, widest), -1, np.int64)
    for b, (first, size) in enumerate(zip(layout.block_partial, layout.block_size, strict=True)):
        column, row = np.triu_indices(size, 1)
        if first >= 0:
            found[b, row, column] = first + np.arange(len(row))
    return found


def _factors(layout: Layout, arrow: Arrow, rest_at: Index) -> dict[str, Index]:
    """Return where each entry of Lambda stands: behind a 0, F of each block, row by row, then the scales of core and own."""
    blocks, m = layout.block_sd.shape
    nodes, size = nodes_of(layout), len(layout.start) - 1
    behind = 1 + blocks * m * m
    own = np.full(size, -1)
    own[layout.own_place] = behind + len(layout.columns) + np.arange(len(layout.own_place))

    def entry(i: Index, j: Index) -> Index:
        """Return the entry of Lambda in row i, column j, of coordinates of the sparse part, 0 for none."""
        same = (i >= 0) & (j >= 0) & (i < size) & (j < size)
        i, j = np.where(same, i, 0), np.where(same, j, 0)
        if not size:
            return np.zeros(same.shape, np.int64)
        same &= (nodes.of[i] == nodes.of[j]) & (nodes.effect[j] <= nodes.effect[i])
        of_block = 1 + (nodes.block[nodes.of[i]] * m + nodes.effect[i]) * m + nodes.effect[j]
        return np.where(same, np.where(own[i] >= 0, own[i], of_block), 0)

    clusters, d = arrow.clusters, len(rest_at)
    # Nodes are whole and their coordinates side by side: what a row or a column of Lambda has is within m - 1 of the diagonal.
    none = np.full(m, -1)
    before, after = np.concatenate([none, rest_at]), np.concatenate([rest_at, none])
    row = np.array([entry(rest_at, before[m - i:m - i + d]) for i in range(m)])
    column = np.array([entry(after[i:i + d], rest_at) for i in range(m)])
    core = np.flatnonzero(rest_at >= size)
    row[0, core] = column[0, core] = behind + np.arange(len(core))
    wide = 1 + int(np.flatnonzero(row.any(axis=1)).max(initial=0))
    inside = entry(clusters[:, :, None], clusters[:, None, :])
    return {"own_factor": inside, "row_factor": row[:wide], "column_factor": column[:wide]}


def _curvature(layout: Layout, reference: Reference, clusters: Index, rest_at: Index) -> dict[str, Array]:
    """Return H and the pull of the data, cut into blocks."""
    size, d = len(layout.start) - 1, len(rest_at)
    column = np.repeat(np.arange(size), np.diff(layout.start))
    lower = sp.csr_array((reference.sparse, (layout.row, column)), shape=(size, size))
    h = sp.csr_array(lower + sp.tril(lower, -1).T)
    shape = (*clusters.shape, clusters.shape[1])
    rows, columns = np.broadcast_to(clusters[:, :, None], shape), np.broadcast_to(clusters[:, None, :], shape)
    own, both = np.zeros(shape), (rows >= 0) & (columns >= 0)
    own[both] = np.asarray(h[rows[both], columns[both]]).ravel()
    sparse, core = np.flatnonzero((rest_at >= 0) & (rest_at < size)), np.flatnonzero(rest_at >= size)
    flat = clusters.ravel()
    live = np.flatnonzero(flat >= 0)
    cross, rest = np.zeros((clusters.size, d)), np.zeros((d, d))
    cross[np.ix_(live, sparse)] = h[flat[live]][:, rest_at[sparse]].toarray()
    cross[np.ix_(live, core)] = reference.cross[flat[live]]
    rest[np.ix_(sparse, sparse)] = h[rest_at[sparse]][:, rest_at[sparse]].toarray()
    rest[np.ix_(sparse, core)] = reference.cross[rest_at[sparse]]
    rest[np.ix_(core, sparse)] = reference.cross[rest_at[sparse]].T
    rest[np.ix_(core, core)] = reference.core
    b = np.concatenate([reference.b_sparse, reference.b_core, [0.0]])
    moved = np.concatenate([reference.d_sparse, reference.d_core, np.zeros((len(reference.d_sparse), 1))], axis=1)
    return {"own_h": own, "cross_h": cross.reshape(*clusters.shape, d), "rest_h": rest, "own_b": b[clusters],
            "rest_b": b[rest_at], "own_d": moved[:, clusters], "rest_d": moved[:, rest_at]}


def _priors(layout: Layout, rest_at: Index, size: int, thetas: int) -> dict[str, Array | Index]:
    """Return K over the rest, and what the log prior of the field reads."""
    in_sparse = (rest_at >= 0) & (rest_at < size)
    at = np.full(size + 1, -1, np.int64)
    at[rest_at[in_sparse]] = np.flatnonzero(in_sparse)
    row, column = at[layout.band_row], at[layout.band_column]
    both = np.concatenate([np.flatnonzero(row >= 0), np.flatnonzero((row >= 0) & (row != column))])
    mirrored = np.arange(len(both)) >= np.count_nonzero(row >= 0)
    ends = np.where(mirrored, column[both], row[both]), np.where(mirrored, row[both], column[both])
    names = ("rho_theta", "rho_steps", "shear_core", "shear_theta", "shear_value", "other_core", "other_location", "other_scale",
             "other_density")
    return {"fixed": np.asarray(~in_sparse, np.float64), "in_sparse": np.asarray(in_sparse, np.float64), "band_row": ends[0],
            "band_column": ends[1], "band_value": layout.band_value[both], "band_kind": layout.band_kind[both],
            "band_theta": _or(layout.band_theta[both], thetas + ZERO), **{name: getattr(layout, name) for name in names}}


def _own_scales(layout: Layout, thetas: int) -> dict[str, Array | Index]:
    """Return what the scales of single coefficients are made of."""
    lengths = layout.own_end - layout.own_begin
    at = np.repeat(layout.own_begin, lengths) + np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return {"own_constant": layout.own_constant, "own_slab": _or(layout.own_slab, thetas + ZERO),
            "own_of": np.repeat(np.arange(len(lengths)), lengths), "own_theta": layout.own_theta[at],
            "own_power": layout.own_power[at], "own_other": layout.own_other[at]}
