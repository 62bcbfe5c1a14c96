"""Whether columns identify their coefficients: constant and collinear columns are refused by name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesglm.data.faults import shown
from bayesglm.errors import DesignError
from bayesglm.terms.term import Array

_TOLERANCE = 1e-9  # what is left of a column of length 1
_NAMED = 4


def check_identified(values: Array, names: tuple[str, ...], *, intercept: bool) -> None:
    """Refuse columns that are constant or a linear combination of others.

    With more columns than distinct patterns only pairs are compared: a prior can decide between many columns, but two that say
    the same are a mistake.

    Parameters
    ----------
    values : array, shape (pattern, coef)
        The columns, in the order of the formula.
    names : tuple of str
        Their coefficients.
    intercept : bool
        Whether they stand beside an intercept.

    Raises
    ------
    DesignError
        The first column at fault, and those it is made of.

    Examples
    --------
    >>> x = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    >>> check_identified(x, ("a", "b"), intercept=True)
    Traceback (most recent call last):
    ...
    bayesglm.errors.DesignError: `b`: is a linear combination of a; ...
    """
    rows, columns = values.shape
    if not columns:
        return
    _check_constant(values, names, intercept=intercept)
    left = values - values.mean(axis=0) if intercept else values
    unit = left / np.linalg.norm(left, axis=0)
    found = _dependent(unit) if columns <= rows - intercept else _pair(unit)
    if found is None:
        return
    at_fault, others = found[0], [names[k] for k in found[1]]
    more = ", ..." if len(others) > _NAMED else ""
    raise DesignError(f"is a linear combination of {', '.join(others[:_NAMED])}{more}", column=_plain(names[at_fault]),
                      rule="collinear columns share one effect that the data cannot divide",
                      fix=f"Leave {names[at_fault]} out, or one of the others.")


def _check_constant(values: Array, names: tuple[str, ...], *, intercept: bool) -> None:
    constant = np.ptp(values, axis=0) == 0
    if not intercept:
        constant &= values[0] == 0
    for j in np.flatnonzero(constant):
        name, value = names[j], shown(values[0, j])
        if value == 0 and ":" in name:
            raise DesignError("is 0 in every row", column=_plain(name), value=0,
                              rule="an interaction needs rows in each combination of its levels",
                              fix="Merge levels, or let the combinations vary as a group: (1 | a:b).")
        raise DesignError(f"has one value only, {value}", column=_plain(name), value=value,
                          rule="a constant column cannot be told from the intercept", fix=f"Leave {name} out of the formula.")


def _dependent(unit: Array) -> tuple[int, list[int]] | None:
    """Return the first column that those before it make up, and which of them do: Gram-Schmidt, twice for its rounding."""
    basis = np.empty(unit.shape, order="F")
    for j in range(unit.shape[1]):
        done, column = basis[:, :j], unit[:, j]
        left = column - done @ (done.T @ column)
        left = left - done @ (done.T @ left)
        size = np.linalg.norm(left)
        if size < _TOLERANCE:
            weight = np.abs(np.linalg.lstsq(unit[:, :j], column, rcond=None)[0])
            return j, np.flatnonzero(weight > 1e-8 * weight.max()).tolist()
        basis[:, j] = left / size
    return None


def _pair(unit: Array) -> tuple[int, list[int]] | None:
    """Return the first column that is another one in other units."""
    cosine = np.triu(unit.T @ unit, 1)
    pairs: NDArray[np.intp] = np.argwhere(np.abs(cosine.T) > 1 - 1e-12)
    for j, i in pairs:
        if np.linalg.norm(unit[:, j] - cosine[i, j] * unit[:, i]) < _TOLERANCE:
            return int(j), [int(i)]
    return None


def _plain(name: str) -> str:
    """Return a quoted column name as it is in the table."""
    return name[1:-1].replace("``", "`") if name[0] == name[-1] == "`" and len(name) > 1 else name
