"""Cells: rows with the same covariates, reduced to the sufficient statistics that the family declares.

Made by `cells_of` from a problem; the likelihood on cells reads nothing else. Rows are not lost: the problem keeps them, and
what speaks of rows (pointwise log likelihood, checks, predictions) goes on reading them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from bayesglm.data.patterns import distinct
from bayesglm.families.family import Family
from bayesglm.families.reduction import Reduction, Rows, identical
from bayesglm.specification import Problem, Specification

Array = NDArray[np.float64]
Kind = Literal["own", "apart", "identical"]


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
    frequency : array, shape (cell,)
        How many rows each cell stands for.
    rows : int
        Rows of the likelihood, each as often as its weight says.
    patterns : int
        Number of covariate patterns.
    kind : {"own", "apart", "identical"}
        Which reduction made them, see `reduction_as`.
    """

    pattern: NDArray[np.int64]
    exposure: Array | None
    trials: Array | None
    statistics: Mapping[str, Array]
    base_response: Array
    base_count: Array
    number: float
    frequency: Array
    rows: int
    patterns: int
    kind: Kind

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
        >>> Cells(np.zeros(2, np.int64), None, None, {}, empty, empty, 0.0, empty, 10_000_000, 1, "own").summary
        '10,000,000 rows, 2 cells'
        """
        return f"{self.rows:,} rows, {self.size:,} cells"


def reduction_as(family: Family, kind: Kind) -> Reduction:
    """Return a reduction of a family's rows, each exact.

    Parameters
    ----------
    family : Family
        The family.
    kind : {"own", "apart", "identical"}
        The family's own; or its own with cells kept apart by response and exposure, for parameters that its own holds constant;
        or identical rows once with their frequency, which every family has.
    """
    declared = family.reduction
    if kind == "identical" or declared is None:
        return Reduction(
            identical,
            lambda values, of: of["n"] * pm.logp(family.likelihood(values), of["y"]),
            keeps=("exposure", "trials", "response"),
        )
    base = declared.base
    if kind == "own" or base is None:
        return declared
    return Reduction(
        lambda rows: {**declared.statistics(rows), "frequency": rows.total(), "response": rows.response[rows.first]},
        lambda values, of: declared.log_density(values, of) + pt.mul(of["frequency"], base(of["response"], values)),
        keeps=("exposure", "trials", "response"), number=declared.number,
    )


def kind_of(specification: Specification) -> Kind:
    """Return the reduction that applies to a model, from what the family declares.

    Its own needs the parameters that it names to be constant; and where one of the others scales with exposure, its cells have to
    keep the exposure.
    """
    declared, family = specification.family.reduction, specification.family
    if declared is None:
        return "identical"
    scaled = {each.name for each in family.parameters if each.scales_with_exposure and specification.exposure_median is not None}
    varying = scaled | {each.parameter for each in specification.predictors}
    if scaled and "exposure" not in declared.keeps:
        return "identical"
    if varying.isdisjoint(declared.constant):
        return "own"
    return "identical" if declared.base is None else "apart"


def cells_of(problem: Problem, kind: Kind | None = None) -> Cells:
    """Reduce the rows of a problem to cells; rows without weight, exposure or trials add nothing and are left out.

    Parameters
    ----------
    problem : Problem
        Specification and data.
    kind : {"own", "apart", "identical"}, optional
        The reduction; by default the one that applies.
    """
    kind = kind_of(problem.specification) if kind is None else kind
    reduction = reduction_as(problem.specification.family, kind)
    rows, index = _rows(problem, reduction)
    statistics = dict(reduction.statistics(rows))
    kept = {"exposure": rows.exposure, "trials": rows.trials}
    sizes = {name: statistics.pop(name, None if values is None or name not in reduction.keeps else values[rows.first])
             for name, values in kept.items()}
    base = (np.zeros(0), np.zeros(0)) if reduction.base is None else _histogram(rows.response, rows.frequency)
    return Cells(
        index[rows.first].astype(np.int64), sizes["exposure"], sizes["trials"], statistics, *base, reduction.number(rows),
        rows.total(), int(rows.frequency.sum()), problem.patterns.table.rows, kind,
    )


def count_cells(problem: Problem) -> int:
    """Return how many cells the rows of a problem become.

    Parameters
    ----------
    problem : Problem
        Specification and data.
    """
    reduction = reduction_as(problem.specification.family, kind_of(problem.specification))
    return len(_rows(problem, reduction)[0].first)


def _rows(problem: Problem, reduction: Reduction) -> tuple[Rows, NDArray[np.intp]]:
    """Return the rows that add to the likelihood with their cells, and the pattern of each."""
    data = problem.observations
    informative = data.informative
    kept = slice(None) if informative.all() else np.flatnonzero(informative)
    response, frequency, index = data.response[kept], data.weights[kept], problem.patterns.index[kept]
    exposure, trials = (None if each is None else each[kept] for each in (data.exposure, data.trials))
    columns: dict[str, Array | None] = {"exposure": exposure, "trials": trials, "response": response}
    keys = [columns[name] for name in reduction.keeps]
    first, cell = _cells([each for each in keys if each is not None], index, problem.patterns.table.rows)
    return Rows(response, frequency, exposure, trials, cell, first), index


def _histogram(response: Array, frequency: Array) -> tuple[Array, Array]:
    """Return the distinct responses and how often each occurs."""
    distinct_responses, index = np.unique(response, return_inverse=True)
    return distinct_responses, np.bincount(index, frequency).astype(np.float64)


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
