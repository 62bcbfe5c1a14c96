"""Reduction: what a family needs to know of the responses of a cell, and its log density from that alone.

Rows with the same covariates make a cell. If the log densities of its rows add up to a function of a few sums over them, the
sums are kept and the rows are not read again: counts of a Poisson become their sum, and their exposures theirs. With the keys
that must stay apart (``keeps``), statistics T and parameters p of the cell,

    sum_{rows of the cell} log f(y; p) = log_density(p, T(rows)) + sum_rows base(y, constants) + what no parameter enters.

``base`` is what depends on the response and on constant parameters alone, such as log Gamma(y + k) - log Gamma(k): it is
evaluated once for each distinct response of the whole table. What no parameter enters is one number, ``number(rows)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from bayesglm.families.values import Values

Array = NDArray[np.float64]
Key = Literal["exposure", "trials", "response"]
Statistics = Mapping[str, TensorVariable]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of the likelihood and the cell of each.

    Attributes
    ----------
    response, frequency : array, shape (row,)
        Response, and how many identical rows the row stands for.
    exposure, trials : array, shape (row,), optional
        Exposure above 0, and trials.
    cell : int array, shape (row,)
        The cell of each row.
    first : int array, shape (cell,)
        A row of each cell.
    """

    response: Array
    frequency: Array
    exposure: Array | None
    trials: Array | None
    cell: NDArray[np.intp]
    first: NDArray[np.intp]

    def total(self, values: NDArray[np.float64 | np.bool_] | float = 1.0) -> Array:
        """Return the sum over the rows of each cell, each row as often as its frequency; the number of rows by default.

        Examples
        --------
        >>> frequency, cell, first = np.array([1.0, 2.0, 1.0]), np.array([0, 0, 1]), np.array([0, 2])
        >>> rows = Rows(np.array([3.0, 4.0, 1.0]), frequency, None, None, cell, first)
        >>> rows.total().tolist(), rows.total(rows.response).tolist()
        ([3.0, 1.0], [11.0, 1.0])
        """
        return np.bincount(self.cell, self.frequency * values, minlength=len(self.first))


def nothing(rows: Rows) -> float:  # noqa: ARG001
    """Return 0: no part of the log density is without parameters."""
    return 0.0


def identical(rows: Rows) -> dict[str, Array]:
    """Return how many rows a cell of identical rows stands for, and their response: where nothing can be summed."""
    return {"n": rows.total(), "y": rows.response[rows.first]}


@dataclass(frozen=True, slots=True)
class Reduction:
    """Sufficient statistics of a cell.

    Attributes
    ----------
    statistics : callable
        ``statistics(rows)`` gives name to array, shape (cell,), NumPy. Those named ``exposure`` and ``trials`` become the
        cell's; a cell has none where they are neither kept nor among the statistics.
    log_density : callable
        ``log_density(values, statistics)``: one number for each cell, PyTensor; without ``base`` and ``number``.
    keeps : tuple of {"exposure", "trials", "response"}
        What two rows of a cell have in common besides their covariates.
    constant : tuple of str
        Parameters that have to be constant, because ``base`` has them.
    base : callable, optional
        ``base(y, values)``: one number for each response ``y``, PyTensor; ``values`` are those of the constant parameters. Where
        one of these has a formula or scales with exposure, cells are kept apart by response and have a base each.
    number : callable
        ``number(rows)``: the sum over all rows of what no parameter enters.
    """

    statistics: Callable[[Rows], Mapping[str, Array]]
    log_density: Callable[[Values, Statistics], TensorVariable]
    keeps: tuple[Key, ...] = ()
    constant: tuple[str, ...] = ()
    base: Callable[[TensorVariable, Values], TensorVariable] | None = None
    number: Callable[[Rows], float] = nothing
