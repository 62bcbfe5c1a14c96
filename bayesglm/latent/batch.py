"""Batch: some rows of a problem in the layout of the whole.

The field of a problem has the same coordinates whichever rows are looked at: what changes with the rows are offsets, columns,
multipliers, and which coordinates each row reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.cells import cells_of
from bayesglm.latent.layout import Field, Layout, common_columns
from bayesglm.latent.likelihood import CellLikelihood, likelihood_on
from bayesglm.latent.placed import Placed
from bayesglm.latent.walks import level_reads
from bayesglm.specification import Problem
from bayesglm.terms.term import Basis

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some rows.

    Attributes
    ----------
    layout : Layout
        The field of the whole table, read by these rows.
    likelihood : CellLikelihood
        The log likelihood of these rows alone.
    rows : int
        How many there are, those included that add nothing to the likelihood.
    """

    layout: Layout
    likelihood: CellLikelihood
    rows: int


def batch_of(field: Field, problem: Problem) -> Batch:
    """Return rows of the same model as a batch.

    Parameters
    ----------
    field : Field
        The field of the whole table.
    problem : Problem
        The same specification, with the rows.

    Examples
    --------
    >>> import bayesglm as bg
    >>> from bayesglm.latent.layout import field_of
    >>> problem = bg.Model("y ~ x + (1 | g)", {"y": [1, 0, 4], "x": [0.1, 0.5, 0.3], "g": ["a", "b", "a"]}, "poisson").problem
    >>> field = field_of(problem)
    >>> batch = batch_of(field, problem)
    >>> all(bool(np.array_equal(one, other)) for one, other in zip(batch.layout, field.layout))
    True
    """
    specification, table = problem.specification, problem.patterns.table
    offsets: list[Array] = []
    columns: list[Array] = []
    bases: list[Basis] = []
    place = iter(field.placed)
    for predictor in specification.predictors:
        coded, priors = predictor.code(table), specification.priors.predictors[predictor.parameter]
        offset = coded.offset.copy()
        for entry, column in common_columns(predictor, coded, priors):
            offset += column * entry.location
            columns.append(column * entry.sd)
        for basis in coded.bases:
            if next(place).core is not None:
                columns.extend(basis.values.T)
            bases.append(basis)
        offsets.append(offset)
    kept = [read for placed, basis in zip(field.placed, bases, strict=True) for read in _reads(placed, basis)]
    coordinate = np.array([where for where, _ in kept], np.int64).reshape(len(kept), table.rows)
    layout = field.layout._replace(
        offset=np.array(offsets), columns=np.array(columns).reshape(len(field.core), table.rows), coordinate=coordinate,
        values=np.concatenate([np.zeros((table.rows, 0)), *(values for _, values in kept)], axis=1),
        row_pair=_row_pairs(field.layout, coordinate),
    )
    return Batch(layout, likelihood_on(specification, cells_of(problem)), len(problem.observations.response))


def _reads(placed: Placed, basis: Basis) -> Iterator[tuple[Index, Array]]:
    """Yield the first coordinate that each row reads of a block, and of its levels, with what it multiplies them by."""
    path = placed.block.path
    if placed.sparse is not None:
        yield placed.sparse[basis.index, 0], basis.values
    if path is not None and placed.levels.size:
        for places, (row, values) in zip(placed.levels, level_reads(path, basis), strict=True):
            yield places[row], values


def _row_pairs(layout: Layout, coordinate: Index) -> Index:
    """Return which coupled pair of nodes each row reads for each two blocks a <= b; -1 where the factor has no such pair."""
    blocks, rows = coordinate.shape
    size = len(layout.start)
    codes = layout.pair_begin[:, 0] * size + layout.pair_begin[:, 1]
    order = np.argsort(codes, kind="stable")
    known = codes[order]
    found = np.full((rows, blocks * (blocks + 1) // 2), -1, np.int64)
    both = [(first, second) for second in range(blocks) for first in range(second + 1)]
    for column, (a, b) in enumerate(both if len(known) else ()):
        later, earlier = np.maximum(coordinate[a], coordinate[b]), np.minimum(coordinate[a], coordinate[b])
        wanted = later * size + earlier
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        found[:, column] = np.where((earlier >= 0) & (known[at] == wanted), order[at], -1)
    return found
