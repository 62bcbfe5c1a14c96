"""Curves: one curve for each level of ``by``, whose coefficients share one standard deviation, x ~ Normal(0, sd^2 I).

The seasons and the splines are curves; the walks take their levels and their straight line from here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bayesglm.data.table import Table
from bayesglm.errors import LevelError
from bayesglm.formula import Call, OptionValue, Variable
from bayesglm.priors import HalfNormal, Prior
from bayesglm.terms.term import Array, Block, Columns, Hyperparameter

WHOLE = "all"


def name_of(call: Call, *, without: Sequence[str] = ()) -> str:
    """Return the text of a term as a name in the model: no quotes, and no slash, which netCDF refuses.

    Examples
    --------
    >>> name_of(Call("season", (Variable("sent/s"),), (("period", "1d"), ("by", Variable("region")))))
    'season(sent_s, period=1d, by=region)'
    """
    kept = tuple((key, value) for key, value in call.options if key not in without)
    text = str(Call(call.function, call.arguments, kept))
    return text.replace("/", "_").replace('"', "").replace("`", "")


def learn_levels(by: OptionValue | Variable, table: Table) -> tuple[str | None, list[str]]:
    """Return the column of ``by`` and its levels in the data; without it, one level that stands for all rows."""
    if not isinstance(by, Variable):
        return None, [WHOLE]
    column = table[by.name].as_category()
    return by.name, [column.levels[code] for code in np.unique(column.values)]


def code_levels(column: str | None, levels: Sequence[str], table: Table) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Return the level of each row, and the labels of unseen levels, numbered after the learnt ones."""
    if column is None:
        return np.zeros(table.rows, np.intp), ()
    coded = table[column].as_category()
    place = {level: i for i, level in enumerate(levels)}
    used = np.unique(coded.values)
    added = tuple(coded.levels[code] for code in used if coded.levels[code] not in place)
    place |= {level: len(levels) + i for i, level in enumerate(added)}
    lookup = np.zeros(len(coded.levels), np.intp)
    lookup[used] = [place[coded.levels[code]] for code in used]
    return lookup[coded.values], added


def refuse_added(column: str | None, added: Sequence[str], *, name: str, levels: Sequence[str]) -> None:
    """Refuse levels that were not learnt, where a term cannot draw them from a population."""
    if added:
        known = ", ".join(levels[:5]) + (", ..." if len(levels) > 5 else "")
        raise LevelError(
            f"{len(added)} unseen levels (first: {added[0]!r})", column=column, value=added[0],
            rule=f"{name} has no curve for a level without data (it knows {known})",
            fix=f"Drop the rows with new levels, or fit again with data of {added[0]!r}.",
        )


def curve_block(name: str, levels: Sequence[str], effects: Sequence[str], *, size: float = 1.0) -> Block:
    """Return the block of curves with independent coefficients, x = sd z; ``size`` is a curve's sd where sd is 1."""
    shape = (len(levels), len(effects))
    return Block(
        name=name, levels=tuple(levels), effects=tuple(effects), level_dim=f"{name}_level", effect_dim=f"{name}_effect",
        hyperparameters=(scale_of(name, HalfNormal(1.0 / size)),), innovations=shape, role="smooth",
        state=lambda z, theta: theta["sd"] * z,
        precision=lambda theta: sp.eye_array(shape[0] * shape[1], format="csc") / np.asarray(theta["sd"]).item() ** 2,
        extend=lambda rng, x, theta, added:
            np.asarray(theta["sd"])[:, None, None] * rng.standard_normal((len(x), len(added), shape[1])),
    )


def scale_of(name: str, prior: Prior) -> Hyperparameter:
    """Return the standard deviation of a term."""
    return Hyperparameter("sd", f"sd_{name}", "sd", (), prior)


def line_columns(
    name: str, line: Array, index: NDArray[np.intp], by: str | None, levels: Sequence[str], reading: str
) -> Columns:
    """Return the straight line of a term as a common effect, one for each level of ``by``.

    Parameters
    ----------
    name, reading : str
        Name of the coefficient and what one unit of it compares.
    line : array, shape (pattern,)
        The standardised argument.
    index : int array, shape (pattern,)
        The level of each pattern.
    by : str, optional
        The column of the levels.
    levels : sequence of str
        The levels.
    """
    if by is None:
        return Columns((name,), line[:, None], (reading,))
    values = line[:, None] * (index[:, None] == np.arange(len(levels)))
    return Columns(tuple(f"{name}:{by}[{level}]" for level in levels), values,
                   tuple(f"{reading}, where {by} is {level}" for level in levels))


def line_reading(argument: str, size: str) -> str:
    """Return what the coefficient of a straight line compares.

    Examples
    --------
    >>> line_reading("load", "3.2")
    'per +1 sd (3.2) of load, along the straight line'
    """
    return f"per +1 sd ({size}) of {argument}, along the straight line"
