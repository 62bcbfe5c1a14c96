"""A numeric column, plain or through log and scale: what structured terms and offsets take as their argument."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesglm.data.faults import shown
from bayesglm.data.table import Column, Table
from bayesglm.errors import ColumnTypeError, DesignError
from bayesglm.formula import Call, Signature, Variable
from bayesglm.terms.term import Array, State

LOG = Signature("log", "transform", scalar=True, note="natural logarithm of a positive column")
SCALE = Signature("scale", "transform", scalar=True, note="(x - mean) / sd of the fitted rows")
SIGNATURES = (LOG, SCALE)


def learn_scalar(argument: Variable | Call, table: Table, counts: Array) -> State:
    """Learn a numeric column or a transform of one.

    Parameters
    ----------
    argument : Variable or Call
        A column, or ``log`` or ``scale`` of one.
    table : Table
        The distinct covariate patterns.
    counts : array, shape (pattern,)
        Rows behind each pattern; mean and sd of ``scale`` are weighted by them.
    """
    if isinstance(argument, Variable):
        numeric(table[argument.name])
        return {"function": "column", "column": argument.name, "label": str(argument)}
    inner = learn_scalar(argument.arguments[0], table, counts)
    state: dict[str, Any] = {"function": argument.function, "inner": inner, "label": str(argument)}
    if argument.function == "scale":
        mean, sd = moments(code_scalar(inner, table), counts)
        if sd == 0:
            raise DesignError("all values are equal", column=_column(inner), rule="scale() divides by the sd of the column",
                              fix="Leave the column out.")
        state |= {"mean": mean, "sd": sd}
    else:
        code_scalar(state, table)
    return state


def code_scalar(state: State, table: Table) -> Array:
    """Return the values of a learnt column on any table, float64 of shape (row,)."""
    if state["function"] == "column":
        return numeric(table[state["column"]])
    values = code_scalar(state["inner"], table)
    if state["function"] == "scale":
        return (values - float(state["mean"])) / float(state["sd"])
    return _log(values, _column(state), table)


def moments(values: Array, counts: Array) -> tuple[float, float]:
    """Return mean and population sd weighted by counts."""
    mean = float(np.average(values, weights=counts))
    return mean, float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))


def spread(values: Array, counts: Array) -> tuple[float, float]:
    """Return what a default prior on a column's coefficient is per, and the column's variance in units of its square.

    That is the range of a column with two values, so that a rare one is not taken for a small one, and the sd of any other.

    Examples
    --------
    >>> size, share = spread(np.array([0.0, 1.0]), np.array([99.0, 1.0]))
    >>> size, round(share, 4)
    (1.0, 0.0099)
    """
    seen = values[counts > 0]
    _, sd = moments(values, counts)
    low, high = float(seen.min()), float(seen.max())
    if sd == 0:
        return 1.0, 0.0
    size = high - low if bool(np.all((seen == low) | (seen == high))) else sd
    return size, (sd / size) ** 2


def numeric(column: Column) -> Array:
    """Return a column's numbers; a category or a time is refused."""
    if column.kind in ("numeric", "boolean"):
        values: Array = column.values
        return values
    if column.kind == "time":
        raise ColumnTypeError("is a time", column=column.name, rule="a time is no number",
                              fix=f"Use season({column.name}, period=\"1d\"), rw({column.name}) or ar({column.name}).")
    raise ColumnTypeError("is a category", column=column.name, value=column.levels[0] if column.levels else None,
                          rule="this place takes numbers", fix=f"Use the column as a common effect or in (1 | {column.name}).")


def _log(values: Array, column: str, table: Table) -> Array:
    bad = np.flatnonzero(values <= 0)
    if bad.size:
        raise ColumnTypeError("has values at or below 0", column=column, value=shown(values[bad[0]]), rows=table.positions(bad),
                              rule="log() needs positive values",
                              fix="Drop the rows, add a constant beforehand, or leave log out.")
    return np.log(values)


def _column(state: State) -> str:
    return str(state["column"]) if state["function"] == "column" else _column(state["inner"])
