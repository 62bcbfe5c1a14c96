"""Windows: past values and trailing statistics as columns, so that a mixture sees a row beside what came before it.

A mixture of such rows is no model of a sequence: rows overlap, so they are not independent, and intervals are too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesglm.data.door import read_table
from bayesglm.errors import ColumnTypeError, OptionError


def lag_windows(data: Any, columns: Sequence[str], *, lags: Sequence[int] = (1,), rolling: int = 0, time: str | None = None,
                by: str | None = None) -> pd.DataFrame:
    """Return rows with the values of earlier rows beside them, and never a later one.

    Parameters
    ----------
    data : data frame
        Rows in the order of time, or with a column of it.
    columns : sequence of str
        Numeric columns.
    lags : sequence of int
        How many rows back, each at least 1.
    rolling : int
        Also the mean and sd of this many rows that end with the current one; 0 for none.
    time : str, optional
        Column to sort by; distinct within each series.
    by : str, optional
        Column of series; no window reaches from one into another.

    Returns
    -------
    pandas.DataFrame
        The columns, ``x_lag1``, ``x_mean5``, ``x_sd5``, and ``row``, the position in the data; the first rows of each series,
        which have no full window, are left out.

    Examples
    --------
    >>> lag_windows({"x": [1.0, 2.0, 4.0, 8.0]}, ["x"], lags=[1, 2]).to_dict("list")
    {'row': [2, 3], 'x': [4.0, 8.0], 'x_lag1': [2.0, 4.0], 'x_lag2': [1.0, 2.0]}
    """
    _check_lags(lags, rolling)
    extra = [name for name in (time, by) if name is not None]
    table, _ = read_table(data, list(dict.fromkeys([*columns, *extra])), labels=[by] if by else [])
    for name in columns:
        if table[name].kind != "numeric":
            raise ColumnTypeError(f"the column holds a {table[name].kind}", column=name, value=table[name].kind,
                                  rule="windows are made of numbers", fix=f"Leave {name!r} out.")
    names = list(dict.fromkeys([*columns, *extra]))
    frame = pd.DataFrame({"row": np.arange(table.rows), **{name: table[name].labels() for name in names}})
    if time is not None:
        _check_times(frame, time, by)
        frame = frame.sort_values([*([by] if by else []), time], kind="stable")
    series = [part for _, part in frame.groupby(by, sort=False)] if by else [frame]
    found = pd.concat([_windows(part, columns, lags, rolling) for part in series])
    if found.empty:
        raise OptionError("no series is long enough for one window", value=table.rows,
                          rule=f"a window needs {max([*(each + 1 for each in lags), rolling])} rows", fix="Use smaller lags.")
    return found.reset_index(drop=True)


def _windows(part: pd.DataFrame, columns: Sequence[str], lags: Sequence[int], rolling: int) -> pd.DataFrame:
    made: dict[str, pd.Series] = {}
    for name in columns:
        values = part[name].astype(np.float64)
        made |= {f"{name}_lag{lag}": values.shift(lag) for lag in lags}
        if rolling:
            held = values.rolling(rolling)
            made |= {f"{name}_mean{rolling}": held.mean(), f"{name}_sd{rolling}": held.std()}
    first = max([*lags, rolling - 1])
    return part.assign(**made).iloc[first:]


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= least


def _check_lags(lags: Sequence[int], rolling: int) -> None:
    for lag in lags:
        if not _whole(lag, 1):
            raise OptionError(f"a lag of {lag!r}", value=lag, rule="a lag is a whole number >= 1: no window looks ahead",
                              fix="Give lags=[1, 2].")
    if not (rolling == 0 or _whole(rolling, 2)):
        raise OptionError(f"rolling={rolling!r}", value=rolling, rule="it is a number of rows >= 2, or 0 for none",
                          fix="Leave it out.")
    if not lags and not rolling:
        raise OptionError("neither lags nor rolling", rule="a window is made of one of them", fix="Give lags=[1].")


def _check_times(frame: pd.DataFrame, time: str, by: str | None) -> None:
    twice = frame.duplicated([*([by] if by else []), time])
    if twice.any():
        rows = frame.loc[twice, "row"].tolist()
        raise OptionError(f"{len(rows)} times that occur twice", column=time, value=frame.loc[twice, time].iloc[0],
                          rows=rows[:20], rule="a series has one row at each time",
                          fix="Give by= for several series, or aggregate first.")
