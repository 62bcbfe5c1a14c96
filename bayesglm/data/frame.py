"""Frame: the named columns of any data frame, as narwhals series. The first thing the data door looks at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from bayesglm.errors import ColumnNameError, DuplicateColumnError, EmptyTableError, MissingColumnError, NotATableError

_NAMED = 20
_TABLES = "a table is a data frame (pandas, Polars, PyArrow or any other that narwhals reads) or a dict of sequences"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The columns that were asked for, unread, and the names of all there are.

    Attributes
    ----------
    series : mapping
        narwhals series of the columns asked for, by name.
    names : tuple of str
        All columns of the data frame.
    rows : int
        Number of rows.
    """

    series: Mapping[str, nw.Series[Any]]
    names: tuple[str, ...]
    rows: int


def open_frame(frame: object, wanted: Sequence[str]) -> Frame:
    """Return the wanted columns of a data frame, a lazy frame or a dict of sequences.

    Parameters
    ----------
    frame : data frame, lazy frame or mapping of str to sequences
        The user's data; nothing but the wanted columns is read.
    wanted : sequence of str
        Names of columns.

    Raises
    ------
    TableError
        One of its kinds: no data frame, duplicate or unusable names, no rows.
    MissingColumnError
        A wanted column is not there.
    """
    return _open_mapping(frame, wanted) if isinstance(frame, Mapping) else _open_native(frame, wanted)


def _open_native(frame: object, wanted: Sequence[str]) -> Frame:
    if not hasattr(frame, "collect_schema"):  # Polars cannot repeat a name, and a lazy frame warns when asked for them
        _check_names(getattr(frame, "column_names", getattr(frame, "columns", ())))
    try:
        data = nw.from_native(frame)  # type: ignore[call-overload]
    except (TypeError, NotImplementedError) as error:
        kind = f"{type(frame).__module__}.{type(frame).__qualname__}"
        raise NotATableError(f"got a {kind}", value=kind, rule=_TABLES,
                             fix="Make one first, for example with pandas.DataFrame(...).") from error
    names = tuple(data.collect_schema().names())
    _check_wanted(wanted, names)
    chosen = data.select(*wanted) if wanted else data
    eager = chosen.collect() if isinstance(chosen, nw.LazyFrame) else chosen
    _check_rows(len(eager))
    return Frame({name: eager[name] for name in wanted}, names, len(eager))


def _open_mapping(frame: Mapping[Any, Any], wanted: Sequence[str]) -> Frame:
    _check_names(frame)
    names = tuple(frame)
    _check_wanted(wanted, names)
    series = {name: _series(name, frame[name]) for name in wanted or names}
    lengths = {name: len(each) for name, each in series.items()}
    rows = next(iter(lengths.values()), 0)
    for name, length in lengths.items():
        if length != rows:
            raise NotATableError(f"{length} values where `{next(iter(lengths))}` has {rows}", column=name, value=length,
                                 rule="all columns must have the same length", fix="Give one value for each row.")
    _check_rows(rows)
    return Frame({name: series[name] for name in wanted}, names, rows)


def _series(name: str, values: Any) -> nw.Series[Any]:
    """Wrap one sequence; a list keeps its objects, so that no integer becomes a float before it was checked."""
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise NotATableError(f"a single value, {values!r}", column=name, value=values,
                             rule="each column of a dict must be a sequence", fix="Give one value for each row.")
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise NotATableError(f"an array of {values.ndim} dimensions", column=name, value=values.shape,
                             rule="each column of a dict must have one dimension",
                             fix="Give its columns names of their own.")
    try:
        return nw.from_native(values, series_only=True)
    except TypeError:
        held = values if hasattr(values, "dtype") else pd.Series(list(values), dtype=object)
        return nw.from_native(pd.Series(held), series_only=True)


def _check_names(names: Any) -> None:
    try:
        listed = list(names)
    except TypeError:
        return
    for name in listed:
        if not isinstance(name, str):
            raise ColumnNameError(f"the column name {name!r} is a {type(name).__name__}", value=name,
                                  rule="column names must be strings, so that a formula can name them",
                                  fix="Rename the columns, for example frame.columns = list(map(str, frame.columns)).")
    twice = [name for name, count in Counter(listed).items() if count > 1]
    if twice:
        raise DuplicateColumnError(f"several columns have this name, {', '.join(map(repr, twice[:5]))} in all",
                                   column=twice[0], value=twice[0], rule="column names must be unique",
                                   fix="Rename or drop one of them.")


def _check_wanted(wanted: Sequence[str], names: tuple[str, ...]) -> None:
    known = set(names)
    for name in wanted:
        if name not in known:
            close = get_close_matches(name, names, n=3)
            guess = f"Did you mean {', '.join(map(repr, close))}? " if close else ""
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            raise MissingColumnError("there is no such column", column=name, value=name,
                                     rule="every column that is named must be in the table",
                                     fix=f"{guess}The table has: {', '.join(names[:_NAMED])}{more}.")


def _check_rows(rows: int) -> None:
    if rows == 0:
        raise EmptyTableError("the table has no rows", value=0, rule="there must be at least one row",
                              fix="Check the filter or the join that made it.")
