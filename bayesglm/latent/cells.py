"""Cells: rows with the same covariates, reduced to the sufficient statistics that the family declares.

Made by `cells_of` from a problem; the likelihood on cells reads nothing else. Rows are not lost: the problem keeps them, and
what speaks of rows (pointwise log likelihood, checks, predictions) goes on reading them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pymc as pm
from numpy.typing import NDArray

from bayesglm.data.patterns import distinct
from bayesglm.families.family import Family
from bayesglm.families.reduction import Reduction, Rows
from bayesglm.specification import Problem, Specification

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The units of the likelihood that the engines run.

    Attributes
    ----------
    pattern : int array, shape (cell,)
        Covariate pattern of each cell, in ascending order.
    exposure, trials : array, shape (cell,), optional
        Exposure and trials of each cell, where its parameters need them.
    statistics : mapping
        Name to array, shape (cell,).
    base_response, base_count : array, shape (response,)
        Distinct responses of the table and how often each occurs, for the part of the density that depends on them and on
        constants alone; empty where there is none.
    number : float
        Part of the log density in which no parameter is.
    rows : int
        Rows of the likelihood, each as often as its weight says.
    patterns : int
        Number of covariate patterns.
    reduced : bool
        Whether the family's own statistics are used; otherwise cells are identical rows with their frequency.
    """

    pattern: NDArray[np.int64]
    exposure: Array | None
    trials: Array | None
    statistics: Mapping[str, Array]
    base_response: Array
    base_count: Array
    number: float
    rows: int
    patterns: int
    reduced: bool

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.pattern)

    @property
    def summary(self) -> str:
        """How many rows became how many cells.

        Examples
        --------
        >>> empty = np.zeros(0)
        >>> Cells(np.zeros(2, np.int64), None, None, {}, empty, empty, 0.0, 10_000_000, 1, True).summary
        '10,000,000 rows, 2 cells'
        """
        return f"{self.rows:,} rows, {self.size:,} cells"


def identical_rows(family: Family) -> Reduction:
    """Return the reduction of last resort, exact for every family: identical rows once, with their frequency."""
    return Reduction(
        lambda rows: {"n": rows.total(), "y": rows.total(rows.response) / rows.total()},
        lambda values, of: of["n"] * pm.logp(family.likelihood(values), of["y"]),
        keeps=("exposure", "trials", "response"),
    )


def reduction_of(specification: Specification) -> tuple[Reduction, bool]:
    """Return the reduction that applies to a model, and whether it is the family's own.

    The family's own needs the parameters that it names to be constant; and where a parameter scales with exposure, the cells have
    to keep it.
    """
    declared, family = specification.family.reduction, specification.family
    if declared is None:
        return identical_rows(family), False
    scaled = specification.exposure_median is not None and any(each.scales_with_exposure for each in family.parameters)
    varying = {each.parameter for each in specification.predictors}
    varying |= {each.name for each in family.parameters if each.scales_with_exposure and scaled}
    applies = not varying & set(declared.constant) and (not scaled or "exposure" in declared.keeps)
    return (declared, True) if applies else (identical_rows(family), False)


def cells_of(problem: Problem) -> Cells:
    """Reduce the rows of a problem to cells; rows without weight, exposure or trials add nothing and are left out.

    Parameters
    ----------
    problem : Problem
        Specification and data.
    """
    reduction, own = reduction_of(problem.specification)
    data = problem.observations
    kept = np.flatnonzero(data.informative)
    everything = len(kept) == len(data.response)
    response, frequency, exposure, trials, index = (
        each if each is None or everything else each[kept]
        for each in (data.response, data.weights, data.exposure, data.trials, problem.patterns.index)
    )
    columns = {"exposure": exposure, "trials": trials, "response": response}
    keys = [columns[name] for name in reduction.keeps]
    first, cell = _cells([each for each in keys if each is not None], index, problem.patterns.table.rows)
    rows = Rows(response, frequency, exposure, trials, cell, len(first))
    statistics = dict(reduction.statistics(rows))
    own_columns = {name: statistics.pop(name, _of_cells(columns[name], first, name in reduction.keeps))
                   for name in ("exposure", "trials")}
    base_response, base_count = np.zeros(0), np.zeros(0)
    if reduction.base is not None:
        base_response, inverse = np.unique(response, return_inverse=True)
        base_count = np.bincount(inverse, frequency, minlength=len(base_response))
    return Cells(
        index[first].astype(np.int64), own_columns["exposure"], own_columns["trials"], statistics, base_response, base_count,
        reduction.number(rows), int(frequency.sum()), problem.patterns.table.rows, own,
    )


def _of_cells(column: Array | None, first: NDArray[np.intp], kept: bool) -> Array | None:  # noqa: FBT001
    return column[first] if kept and column is not None else None


def _cells(keys: list[Array], index: NDArray[np.intp], patterns: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first row of each cell and the cell of each row, cells in the order of their patterns."""
    first, cell = (_present(index, patterns) if not keys else distinct([index, *keys], len(index)))
    order = np.argsort(index[first], kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[cell]


def _present(index: NDArray[np.intp], patterns: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the same where a cell is a pattern: codes need no sorting."""
    first = np.full(patterns, -1, np.intp)
    first[index[::-1]] = np.arange(len(index) - 1, -1, -1)
    present = first >= 0
    return first[present], (np.cumsum(present) - 1)[index]
