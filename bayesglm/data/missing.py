"""Missing cells: refused, or filled with a value that the fit learnt and an indicator beside it.

The policy is the user's, column by column; the value is kept in the schema, so new data get the value of the fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesglm.data.faults import raise_where
from bayesglm.data.table import Array, Column
from bayesglm.errors import MissingValueError, OptionError

Mask = NDArray[np.bool_]
Fill = float | str
Given = Mapping[str, object]

REFUSE = "refuse"
IMPUTE = "impute"


@dataclass(frozen=True, slots=True)
class MissingPolicy:
    """What happens to the missing cells of one column.

    Attributes
    ----------
    how : {"refuse", "impute", "value", "keep"}
        Refuse them; fill in the median or the most frequent value; fill in a value given by the user; keep them as missing,
        for a model that integrates them out.
    fill : float or str, optional
        The value, once it is known: 0 and 1 for a boolean, a level for a category.
    imputed : int
        How many cells were filled at the fit.
    """

    how: Literal["refuse", "impute", "value", "keep"] = "refuse"
    fill: Fill | None = None
    imputed: int = 0


KEEP = MissingPolicy("keep")


def indicator_name(name: str) -> str:
    """Name the column that says where another was missing.

    Examples
    --------
    >>> indicator_name("age")
    'age_missing'
    """
    return f"{name}_missing"


def indicator(name: str, missing: Mask) -> Column:
    """Return the 0/1 column that a formula can name beside the filled one."""
    return Column(indicator_name(name), "numeric", missing.astype(np.float64), integer=True)


def refuse_missing(column: Column, missing: Mask, *, fitted: bool) -> None:
    """Raise if a cell is missing; new data for a fitted model take no policy of their own."""
    way = "fit again with" if fitted else "give"
    raise_where(missing, MissingValueError, "{} missing values", column=column.name,
                values=np.full(len(missing), None, object),
                rule="a value is needed in every row",
                fix=f"Drop the rows, or {way} missing={{{column.name!r}: 'impute'}} if it is a predictor.")


def learn_policy(column: Column, missing: Mask, given: object, weights: Array | None) -> MissingPolicy:
    """Decide how a column's missing cells are filled.

    Parameters
    ----------
    column : Column
        The column as read.
    missing : bool array, shape (row,)
        Its missing cells.
    given : object
        What the user asked for: "refuse", "impute" or a value; or `KEEP`.
    weights : array, shape (row,), optional
        How many identical rows each row stands for.

    Raises
    ------
    OptionError
        The value does not fit the column, or the column cannot be imputed.
    """
    if isinstance(given, str) and given == REFUSE:
        return MissingPolicy()
    if given is KEEP:
        return KEEP
    if column.kind == "time":
        raise OptionError("times cannot be imputed", column=column.name, value=given,
                          rule="missing= fills numbers, booleans and categories", fix="Drop the rows without a time.")
    count = int(missing.sum())
    if isinstance(given, str) and given == IMPUTE:
        return MissingPolicy("impute", _LEARN[column.kind](column, ~missing, weights), count)
    return MissingPolicy("value", _given_value(column, given), count)


def fill_missing(column: Column, missing: Mask, value: Fill) -> Column:
    """Return the column with a value in its missing cells; a level it does not have yet is added at the end."""
    if not missing.any():
        return column
    if column.kind != "category":
        return replace(column, values=np.where(missing, value, column.values))
    level = str(value)
    levels = column.levels if level in column.levels else (*column.levels, level)
    return Column(column.name, "category", np.where(missing, levels.index(level), column.values), levels)


def weighted_median(values: Array, weights: Array) -> float:
    """Return the median of values that stand for several rows each.

    Examples
    --------
    >>> weighted_median(np.array([1.0, 10.0, 2.0]), np.array([1.0, 1.0, 2.0]))
    2.0
    """
    order = np.argsort(values, kind="stable")
    order = order[weights[order] > 0]
    passed = np.cumsum(weights[order])
    low, high = np.searchsorted(passed, [passed[-1] / 2, np.nextafter(passed[-1] / 2, np.inf)])
    return float((values[order[low]] + values[order[high]]) / 2)


def _median(column: Column, held: Mask, weights: Array | None) -> float:
    values = column.values[held]
    return float(np.median(values)) if weights is None else weighted_median(values, weights[held])


def _most_frequent(column: Column, held: Mask, weights: Array | None) -> str:
    counts = np.bincount(column.values[held], None if weights is None else weights[held], len(column.levels))
    return column.levels[int(counts.argmax())]


def _majority(column: Column, held: Mask, weights: Array | None) -> float:
    return float(np.average(column.values[held], weights=None if weights is None else weights[held]) > 0.5)


_LEARN: Mapping[str, Callable[[Column, Mask, Array | None], Fill]] = {
    "numeric": _median, "boolean": _majority, "category": _most_frequent,
}


def _given_value(column: Column, given: Any) -> Fill:
    if column.kind == "category" and isinstance(given, str):
        return given
    if column.kind == "boolean" and isinstance(given, bool | int | float) and given in (0, 1):
        return float(given)
    number = isinstance(given, int | float | np.number) and not isinstance(given, bool)
    if column.kind == "numeric" and number and np.isfinite(given):
        return float(given)
    needed = {"category": "a string", "boolean": "True or False", "numeric": "a finite number"}[column.kind]
    raise OptionError(f"missing= gives {given!r}", column=column.name, value=given,
                      rule=f"a {column.kind} column is filled with 'impute' or {needed}",
                      fix=f"Give missing={{{column.name!r}: 'impute'}}.")
