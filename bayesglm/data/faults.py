"""Faults of rows: the error that names the column, the first rows and the first value."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesglm.errors import BayesGLMError, ExactnessError

EXACT = 2**53
"""Up to here float64 holds every integer."""

EXACT_RULE = "numbers are held as float64, exact for integers up to 2**53"
SHOWN = 5
_PLURAL = re.compile(r"\b(value|row|number|integer|proportion|boolean|code)s\b")


def first_rows(bad: NDArray[np.bool_], most: int = SHOWN) -> tuple[int, ...]:
    """Return the first positions where a mask is true."""
    return tuple(np.flatnonzero(bad)[:most].tolist())


def raise_where(
    bad: NDArray[np.bool_],
    kind: type[BayesGLMError],
    problem: str,
    *,
    column: str,
    values: NDArray[Any],
    rule: str,
    fix: str,
) -> None:
    """Raise an error that names the first rows at fault, if there are any.

    Parameters
    ----------
    bad : bool array, shape (row,)
        The rows at fault.
    kind : type
        The error to raise.
    problem : str
        What is wrong, with ``{}`` where the number of rows goes.
    column : str
        The column at fault.
    values : array, shape (row,)
        Its values, of which the first at fault is shown.
    rule, fix : str
        The rule that was broken, and what to do.
    """
    if bad.any():
        rows = first_rows(bad)
        raise kind(counted(problem, int(bad.sum())), column=column, value=shown(values[rows[0]]), rows=rows, rule=rule,
                   fix=fix)


def counted(problem: str, count: int) -> str:
    """Fill in how many there are, in the singular for one.

    Examples
    --------
    >>> counted("{} values that are no integers", 1), counted("{} negative values", 3)
    ('1 value that is no integer', '3 negative values')
    """
    text = problem.format(count)
    return _PLURAL.sub(r"\1", text).replace(" that are ", " that is ") if count == 1 else text


def shown(value: Any) -> object:
    """Return a value as a reader writes it: 3 and not 3.0.

    Examples
    --------
    >>> shown(np.float64(-2.0)), shown(np.float64(0.5)), shown("x" * 100) == "x" * 57 + "..."
    (-2, 0.5, True)
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) > 60:
        return value[:57] + "..."
    return value


def check_exact(column: str, values: NDArray[np.float64]) -> None:
    """Raise if whole numbers are too large for float64 to hold exactly."""
    raise_where(np.abs(values) > EXACT, ExactnessError, "{} numbers beyond 2**53", column=column, values=values,
                rule=EXACT_RULE, fix="Count in larger units.")
