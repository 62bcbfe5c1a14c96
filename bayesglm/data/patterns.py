"""Patterns: the distinct rows of the raw columns that a formula names, with an index back to the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesglm.data.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """Distinct covariate patterns of a table.

    Attributes
    ----------
    table : Table
        One row for each pattern, in the order of first appearance.
    index : int array, shape (obs,)
        The pattern of each row.
    counts : array, shape (pattern,)
        How many rows (weights included) each pattern stands for.
    """

    table: Table
    index: NDArray[np.intp]
    counts: NDArray[np.float64]


def distinct(keys: Sequence[NDArray[np.generic]], rows: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return (first row, index back) of the distinct rows of several columns.

    Parameters
    ----------
    keys : sequence of array, each of shape (rows,)
        The columns; none at all makes one pattern of everything.
    rows : int
        Number of rows.

    Examples
    --------
    >>> first, index = distinct([np.array([2, 1, 2]), np.array([0, 0, 0])], 3)
    >>> first.tolist(), index.tolist()
    ([0, 1], [0, 1, 0])
    """
    code = np.zeros(rows, np.int64)
    for key in keys:
        values = key.view(np.int64) if key.dtype.kind == "M" else key
        inverse, found = pd.factorize(values, use_na_sentinel=False)
        code = pd.factorize(code * max(len(found), 1) + inverse)[0].astype(np.int64)
    first = np.empty(int(code.max(initial=-1)) + 1, np.intp)
    # Codes count up in the order of first appearance; backwards, the first row of each is written last.
    first[code[::-1]] = np.arange(rows - 1, -1, -1)
    return first, code.astype(np.intp)


def patterns_of(table: Table, names: Sequence[str], weights: NDArray[np.float64]) -> Patterns:
    """Reduce a table to its distinct covariate patterns.

    Parameters
    ----------
    table : Table
        The checked rows.
    names : sequence of str
        Raw columns that the formulas name.
    weights : array, shape (obs,)
        How many identical rows each row stands for.
    """
    first, index = distinct([table[name].values for name in names], table.rows)
    counts = np.bincount(index, weights, minlength=len(first))
    kept = Table({name: table[name].take(first) for name in names}, len(first), origin=first)
    return Patterns(kept, index, counts)
