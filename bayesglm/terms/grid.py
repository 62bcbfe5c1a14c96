"""Grid: regular times from the first to the last, with gaps as nodes that no row reads.

Made by the walks and autoregressions from the times of the fitted rows; it numbers any other times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesglm.data.table import Column
from bayesglm.errors import ColumnTypeError, DesignError, LevelError

Numbers = NDArray[np.number[Any]]
MOST_NODES = 20_000
_CLOSE = 1e-4


@dataclass(frozen=True, slots=True)
class Grid:
    """Regular times.

    Attributes
    ----------
    column : str
        The column of the times.
    time : bool
        Whether they are times (start and step in microseconds since 1970) or plain numbers.
    start, step : int or float
        The first node and the distance between two.
    nodes : int
        How many nodes the fit has.
    """

    column: str
    time: bool
    start: float
    step: float
    nodes: int

    def number(self, column: Column) -> NDArray[np.intp]:
        """Return the node of each value; times past the end are numbered on.

        Raises
        ------
        LevelError
            A time before the first, or between two nodes.
        """
        if (column.kind == "time") != self.time:
            raise ColumnTypeError(f"is {column.kind} and was learnt from {'times' if self.time else 'numbers'}",
                                  column=column.name, rule="new data have the types of the fitted ones",
                                  fix=f"Give the column as {'times' if self.time else 'numbers'}.")
        steps = (_numbers(column) - self.start) / np.float64(self.step)
        nodes = np.round(steps)
        off = np.flatnonzero(np.abs(steps - nodes) > _CLOSE)
        if off.size:
            raise LevelError(
                f"{off.size} values between two nodes (first: {column.values[off[0]]})", column=column.name,
                value=column.values[off[0]], fix="Round the times to that step.",
                rule=f"the times of the fit have a step of {self.spacing} and start at {self.label(0)}",
            )
        before = np.flatnonzero(nodes < 0)
        if before.size:
            raise LevelError(
                f"{before.size} values before the first time of the fit (first: {column.values[before[0]]})",
                column=column.name, value=column.values[before[0]], rule=f"the term goes forward from {self.label(0)}",
                fix="Drop the earlier rows, or fit again with them.",
            )
        return nodes.astype(np.intp)

    @property
    def spacing(self) -> str:
        """The step as readers write it."""
        return self.length(1.0)

    def length(self, steps: float) -> str:
        """Return a number of steps as readers write it."""
        return _duration(steps * self.step) if self.time else f"{steps * self.step:.4g}"

    def labels(self, nodes: NDArray[np.intp]) -> list[str]:
        """Return the times of nodes as text, to the coarsest unit that tells them apart."""
        if self.time:
            values = (int(self.start) + nodes.astype(np.int64) * int(self.step)).astype("datetime64[us]")
            return [str(text) for text in np.datetime_as_string(values, unit=self._unit())]  # type: ignore[call-overload]
        digits = 8 - int(np.floor(np.log10(self.step)))
        values = np.round(self.start + nodes * self.step, digits)
        return [str(int(value)) if float(value).is_integer() else repr(float(value)) for value in values]

    def label(self, node: int) -> str:
        """Return the time of one node as text."""
        return self.labels(np.array([node]))[0]

    def node(self, label: str) -> int:
        """Return the node that a label of `labels` names."""
        value = np.datetime64(label, "us").astype(np.int64) if self.time else float(label)
        return round((float(value) - self.start) / self.step)

    def _unit(self) -> str:
        sizes = {"D": 86_400_000_000, "m": 60_000_000, "s": 1_000_000}
        return next((unit for unit, size in sizes.items() if self.step % size == 0 and self.start % size == 0), "us")


def learn_grid(column: Column, *, least: int, term: str) -> Grid:
    """Return the grid from the first to the last time of a column, with the greatest step that all of them share.

    Parameters
    ----------
    column : Column
        The times.
    least : int
        How many distinct times the term needs.
    term : str
        What to call the term in an error.

    Raises
    ------
    ColumnTypeError
        A column of neither numbers nor times.
    DesignError
        Too few distinct times, or so fine a step that the grid has more than 20,000 nodes.
    """
    if column.kind not in ("numeric", "time"):
        raise ColumnTypeError(f"is a {column.kind}", column=column.name, value=column.labels()[0],
                              rule=f"{term} takes a number or a time",
                              fix="Convert the column with pandas.to_datetime or to numbers.")
    times = np.unique(_numbers(column))
    if len(times) < least:
        raise DesignError(
            f"{len(times)} distinct times (first: {column.values[0]})", column=column.name, value=column.values[0],
            rule=f"{term} needs at least {least}", fix=f"Leave {term} out of the formula.",
        )
    step = _common_step(times)
    grid = Grid(column.name, column.kind == "time", times[0].item(), step, round((times[-1] - times[0]) / step) + 1)
    if grid.nodes > MOST_NODES or not _fits(times, grid):
        raise DesignError(
            f"{grid.nodes:,} nodes with a step of {grid.spacing}", column=column.name, value=grid.spacing,
            rule=f"{term} runs over a regular grid of at most {MOST_NODES:,} nodes from the first to the last time",
            fix="Round the times to a coarser step, such as the hour or the day, beforehand.",
        )
    return grid


def _numbers(column: Column) -> Numbers:
    """Return the times as numbers: microseconds since 1970 where they are times, exact."""
    return column.values.astype("datetime64[us]").astype(np.int64) if column.kind == "time" else column.values


def _common_step(times: Numbers) -> float:
    """Return the greatest step that divides all distances: exact for whole numbers, within a tolerance for others."""
    gaps = np.unique(np.diff(times))
    if np.all(times == np.round(times)) and np.abs(times).max() < 2**53:
        return int(np.gcd.reduce(gaps.astype(np.int64)))
    step = _euclid([float(gap) for gap in gaps])
    span = float(times[-1] - times[0])
    return span / round(span / step)


def _euclid(gaps: Sequence[float]) -> float:
    step, least = gaps[0], 1e-6 * gaps[0]
    for gap in gaps[1:]:
        left, right = gap, step
        while right > least:
            left, right = right, abs(left - right * round(left / right))
        step = left
    return step


def _fits(times: Numbers, grid: Grid) -> bool:
    steps = (times - grid.start) / grid.step
    return bool(np.all(np.abs(steps - np.round(steps)) <= _CLOSE))


def _duration(microseconds: float) -> str:
    """Write a duration without its zero parts."""
    parts = pd.Timedelta(round(microseconds), "us").components
    named = zip(parts._fields, parts, strict=True)
    written = [f"{value} {unit if value != 1 else unit[:-1]}" for unit, value in named if value]
    return " ".join(written[:2]) or "0 seconds"
